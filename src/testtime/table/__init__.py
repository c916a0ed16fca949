"""Everything about one table: reading it, understanding its columns, fitting it, serving it."""
