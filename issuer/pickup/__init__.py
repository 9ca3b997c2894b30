"""The pages on which holders fetch their passes."""
