"""Speed, memory and cost of a run, measured or estimated."""
