"""Checkpoints + labelled set -> fine-tuned tag classifiers, and a comparison with confidence intervals."""
