"""'stackbert run STUDY --rehearse': a whole study with tiny checkpoints of the published layouts, in minutes."""
