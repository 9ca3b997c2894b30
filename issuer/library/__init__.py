"""Membership of libraries: only pass types that have a card number take part."""
