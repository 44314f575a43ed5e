"""What services say to each other and to the world."""
