"""Comparison of systems: trials over seeds, results, report."""
