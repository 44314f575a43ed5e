"""The store service: receives objects and keeps them safely."""
