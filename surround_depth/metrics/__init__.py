"""Measures of depth, in plain numpy."""
