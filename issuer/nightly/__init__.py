"""The night's work: expiry, reminders, certificate warnings, retention."""
