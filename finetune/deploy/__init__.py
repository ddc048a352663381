"""A fine-tuned classifier in use: bundle, predict, serve, export, push."""
