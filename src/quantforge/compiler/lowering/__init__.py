"""Rules that turn the operators of a graph into operators of XIR."""
