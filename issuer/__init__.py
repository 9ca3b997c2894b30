"""The service side: register, imports, issue, publish, keys in use, and the command line ``stadtpass``."""
