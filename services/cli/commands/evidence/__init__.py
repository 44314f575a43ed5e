"""Commands that show what the ledger proves over all jobs."""
