"""What a scripted PACS holds."""
