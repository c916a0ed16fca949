"""Plain modules with their dimension keys; no training code."""
