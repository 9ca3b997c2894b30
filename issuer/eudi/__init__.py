"""Issuing credentials into EUDI Wallets: OpenID4VCI 1.0 with its authorization server, and HAIP 1.0.

Written after "OpenID for Verifiable Credential Issuance 1.0" and "OpenID4VC High Assurance Interoperability Profile
1.0" with the standards that they build on: RFC 6749, 7636, 8414, 9101, 9126, 9207, 9396, 9449,
draft-ietf-oauth-attestation-based-client-auth and draft-ietf-oauth-status-list.
"""
