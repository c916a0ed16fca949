"""How the embedded tabular model was made: synthetic prior, training loop, export, evaluation."""
