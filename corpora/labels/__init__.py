"""Posts -> a labelled set with splits, and the text left for pretraining."""
