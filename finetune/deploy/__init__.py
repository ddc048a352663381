"""Use of a fine-tuned classifier: save, load, predict, serve, push."""
