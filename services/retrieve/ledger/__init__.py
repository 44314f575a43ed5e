"""The tables of a retrieve."""
