"""Test-set contamination of pretraining text: finding, removing and reporting it."""
