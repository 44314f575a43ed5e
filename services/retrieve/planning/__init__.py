"""Decisions of a retrieve: which C-MOVEs to issue and what a response means. Pure."""
