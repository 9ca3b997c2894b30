"""Membership of libraries: who may have a card, what it costs, and what happens to it."""
