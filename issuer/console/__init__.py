"""The console: the pages of the people of the office, under /office."""
