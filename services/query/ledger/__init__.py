"""The tables of a query."""
