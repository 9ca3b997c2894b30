"""The people of the office: accounts, log-in, sessions, and who may use which page of the console."""
