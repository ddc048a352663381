"""Metrics of multi-label classification, and intervals for their differences."""
