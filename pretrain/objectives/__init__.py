"""Training objectives: each makes its batches of packed rows and computes its losses."""
