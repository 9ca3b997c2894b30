"""Checking what an EUDI Wallet presents: SD-JWT VC with key binding, and mdoc; needs ``stadtpass[eudi]``."""
