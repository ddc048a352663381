"""The build: read, clean and de-duplicate in parts, in parallel."""
