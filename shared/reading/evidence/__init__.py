"""What the ledger proves, read from the database."""
