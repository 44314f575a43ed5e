"""What the store holds and hands over, for reading."""
