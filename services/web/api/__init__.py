"""The HTTP API for other programs, `/api/v1` (spec section 10.5)."""
