"""Estimates for the stages of a study, from short measurements on its own text."""
