"""What is planned before a remote node is asked, for whoever asks and whoever only wants to know. Pure."""
