"""What a pass is and how it looks in every carrier. Pure: no database, no network, no clock of its own."""
