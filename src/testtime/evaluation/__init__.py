"""How good a fitted table is on rows it never saw, and what else could be used instead."""
