"""What fine-tuning takes: measured on this machine, and compiled for TPU slices."""
