"""Associations that we request, and the DIMSE operations over them."""
