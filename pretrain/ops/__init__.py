"""Fused ops that encoders are made of: norms, GELU, attention, the MLM loss."""
