"""Text sources -> clean, de-duplicated posts, and a labelled set with uncontaminated pretraining text."""
