"""First room: dumps, tables or docstrings -> clean posts, and a labelled set without test-set contamination."""
