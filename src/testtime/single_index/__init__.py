"""The three-stage nonlinear algorithm as one regressor."""
