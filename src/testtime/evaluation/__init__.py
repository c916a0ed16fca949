"""How good a fitted model is on rows it never saw: scores with their errors, and curves of context lengths."""
