"""The command line as a client of the services."""
