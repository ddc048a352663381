"""Evaluation text in pretraining text: found, removed, reported."""
