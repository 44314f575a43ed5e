"""Traces of jobs, read from the ledger."""
