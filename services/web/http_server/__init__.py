"""The HTTP server: bounded reading of requests in front of cheroot's worker threads."""
