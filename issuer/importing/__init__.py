"""Taking in a city's CSV files: reading, normalising, checking, and the report of what was wrong."""
