"""The verifier web app in real browsers."""
