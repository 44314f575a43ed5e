"""Subcommands that begin or show queries and retrieves."""
