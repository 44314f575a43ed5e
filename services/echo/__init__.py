"""The echo service: C-ECHO to any number of nodes side by side."""
