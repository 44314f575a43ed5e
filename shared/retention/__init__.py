"""Retention: what may be removed after how long, and who removes it now."""
