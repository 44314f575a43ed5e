"""What the ledger proves over all jobs of a node: days, stations, lists. Pure."""
