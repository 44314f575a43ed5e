"""Notifications: what people are notified of, where, and how it is sent."""
