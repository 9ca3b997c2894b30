"""What the city asks of EUDI Wallets, and what they show it: OpenID4VP 1.0 with the profile HAIP 1.0."""
