"""Registers of the city that answer whether somebody lives or keeps a vehicle: what is asked, and file-based ones.

A source answers yes or no to one person and one address or plate; it never hands out what it knows. One that is away
says so, and evidence is asked for instead.
"""
