"""Benchmarks: scripts that print the tables README and docs quote, and write them as JSON."""
