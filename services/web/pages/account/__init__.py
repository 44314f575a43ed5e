"""Pages of one's own account: the second factor, and log-in at an OpenID provider."""
