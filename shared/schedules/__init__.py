"""Recurring queries: when they are due, what a run covers, and how far everything before is complete."""
