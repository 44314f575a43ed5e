"""C-FIND identifiers: how requests are built and matches are read. Pure."""
