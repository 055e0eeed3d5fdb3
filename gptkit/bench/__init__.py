"""What the parts cost: times, rates and memory, of what is right and of nothing else."""
