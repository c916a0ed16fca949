"""What differs between foundation models, and nothing else."""
