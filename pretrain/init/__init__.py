"""Base checkpoint -> initial checkpoint for a vocabulary."""
