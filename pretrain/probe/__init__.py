"""A probe of the encoder along a run: how well a linear classifier reads a labelled set from its vectors."""
