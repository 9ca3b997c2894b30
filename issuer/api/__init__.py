"""The management API under ``/api/v1`` for the city's portal and specialist systems."""
