"""The accessibility statement, and what people write about barriers."""
