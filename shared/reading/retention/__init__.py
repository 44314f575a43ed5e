"""What retention would remove now, and what it has removed."""
