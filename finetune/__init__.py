"""Fine-tunes checkpoints as multi-label classifiers and compares them."""
