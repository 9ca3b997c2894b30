"""The pages on which somebody applies for a resident parking permit, and follows what becomes of it."""
