"""Comparison of systems: the trials of all, results, report."""
