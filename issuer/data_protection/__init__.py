"""What the data protection officer needs, generated from what is really configured and stored."""
