"""Where the original keeps the operators that it registers by being imported."""
