"""Numbers of the whole installation, read from its database, for Prometheus."""
