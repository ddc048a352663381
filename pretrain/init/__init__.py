"""The initial checkpoint: base checkpoint in, checkpoint for the rows' vocabulary out."""
