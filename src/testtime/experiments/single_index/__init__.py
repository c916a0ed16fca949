"""Figures of the second paper: three stages on single-index tasks."""
