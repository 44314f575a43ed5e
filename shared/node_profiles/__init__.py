"""What was learned of nodes, in the database."""
