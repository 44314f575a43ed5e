"""What the pages of one node show."""
