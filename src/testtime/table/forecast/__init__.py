"""What adapting will bring on a table, said before any training."""
