"""The figures of the papers, each one command."""
