"""What the project knows about operators: shape rules, float and integer kernels, cost, traits."""
