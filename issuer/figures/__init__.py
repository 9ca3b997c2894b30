"""Figures: for the office, and as open data for everybody. Counts only, of no person and of nobody's work."""
