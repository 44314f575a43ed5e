"""Sessions, log-in limits and response headers."""
