"""The pages of what the ledger proves."""
