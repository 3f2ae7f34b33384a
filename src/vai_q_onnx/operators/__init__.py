"""Where the original keeps its operators."""
