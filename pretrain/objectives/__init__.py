"""Training objectives: how each makes its batch and its losses."""
