"""Read-only views of jobs, the same for the command line, the page and the HTTP API (spec section 9)."""
