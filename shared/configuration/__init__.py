"""What settings may hold, and how they are read from variables and files."""
