"""The index of stored objects and the announcement of new ones."""
