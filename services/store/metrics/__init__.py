"""Counters and health of the store."""
