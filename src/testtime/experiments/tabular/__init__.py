"""Figures on real tables."""
