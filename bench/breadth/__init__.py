"""How many architectures of the field the torch door captures, quantizes, runs and exports."""
