"""Pages that belong to one job: its ledger, its dose figures, and its files."""
