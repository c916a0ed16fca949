"""Everything about one table that needs no scikit-learn estimator: reading it, its columns, what its levels say."""
