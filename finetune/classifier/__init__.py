"""Encoder + head: two-phase fine-tuning."""
