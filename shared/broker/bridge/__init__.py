"""Access to the in-memory broker of another process of the same user."""
