"""Measuring a remote node and learning its profile."""
