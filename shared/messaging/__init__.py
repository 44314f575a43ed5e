"""Messages between contract and broker: encoding, publishing, and routing to command handlers."""
