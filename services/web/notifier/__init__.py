"""Notices what people want to be notified of, and sends it."""
