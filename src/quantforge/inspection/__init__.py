"""Which device runs which operator of a model, and why."""
