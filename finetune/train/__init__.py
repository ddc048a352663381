"""The two phases of fine-tuning: their batches, steps and saved states."""
