"""Associations and messages of a scripted PACS."""
