"""C-FIND of a scripted PACS."""
