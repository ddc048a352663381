"""Posts -> a labelled set with splits, and the remaining text for pretraining."""
