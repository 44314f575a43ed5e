"""Live state of pages: server-sent events, results of echoes, and which services are up."""
