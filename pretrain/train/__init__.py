"""The training loop: batches, steps, optimizer, devices, saved states."""
