"""Exact theory of test-time training; NumPy and SciPy only."""
