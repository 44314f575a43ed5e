"""The contract as documents for other programs."""
