"""Removes old queries and their retrieves; what they prove is folded into the numbers of studies and days."""
