"""Trials: a system fine-tuned with one seed; what they are, how they run, and which are kept."""
