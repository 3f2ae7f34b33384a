"""Independent pieces of work: done here, in processes of this machine, or on a Ray cluster."""
