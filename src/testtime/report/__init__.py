"""Plots and pages; sees only numbers."""
