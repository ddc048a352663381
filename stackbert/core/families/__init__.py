"""The families of encoders whose checkpoints are read, trained and written: one file and one entry of a table each."""
