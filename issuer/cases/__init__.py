"""What people ask the permit office for, from the first word to the pass or the refusal."""
