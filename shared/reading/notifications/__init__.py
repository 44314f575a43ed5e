"""What people may have to be notified of, read from the ledgers."""
