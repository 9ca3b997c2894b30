"""The rules of the permit office as data with dates: zones, streets, fees, permit kinds, eligibility.

Nothing here decides by code what a city may decide: `city_rules` reads the tables as they are, and the functions over
them are pure. `changes` is how the office changes them.
"""
