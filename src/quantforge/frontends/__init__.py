"""The front doors: each translates one framework to the graph and back. The only places that import one."""
