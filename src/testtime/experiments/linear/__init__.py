"""Figures of the first paper: one gradient step, exactly, on a one-layer linear transformer."""
