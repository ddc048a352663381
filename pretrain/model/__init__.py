"""The encoder, and its checkpoints in Hugging Face's format."""
