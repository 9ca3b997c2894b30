"""Signed statements for the fine office: whether a plate had a permit at a moment, as the register tells it."""
