"""Transfers: C-MOVE, C-GET, and the check of what arrived."""
