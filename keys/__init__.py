"""Signing keys and certificates: stores, purposes, life cycle, trust bundle, and the one COSE/CBOR codec.

The lowest of the four packages: it imports none of the others.
"""
