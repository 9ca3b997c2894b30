"""Delivery to the outside: Apple's push service, Google's REST interface, mail, webhooks."""
