"""Graph to graph: one rewrite a file, `pipeline` lists them in order."""
