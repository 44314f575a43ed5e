"""What is planned before a remote node is queried, for those who query it and for estimates. Pure."""
