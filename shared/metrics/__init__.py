"""Numbers of one process, for Prometheus."""
