"""Encoder and head, and their two-phase fine-tuning."""
