"""One small class per kind of column: it learns how the column is read, or rejects it."""
