"""Membership of libraries: rules, members, and the library's own system."""
