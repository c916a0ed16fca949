"""Many results from one configuration: cells that are computed side by side and found again."""
