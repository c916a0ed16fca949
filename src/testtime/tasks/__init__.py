"""Where data comes from; one seed per task."""
