"""Checking a seal or a plate without network: library and command line. Never imports ``issuer``."""
