"""The program as its users meet it: the command line, its files and its exit codes."""
