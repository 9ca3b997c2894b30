"""Paying before something is issued: what a payment provider is, the states of a payment, and its pages."""
