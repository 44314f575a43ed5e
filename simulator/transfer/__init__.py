"""C-MOVE, C-GET and C-STORE of a scripted PACS."""
