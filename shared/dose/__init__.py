"""What dose reports say: read from their content trees. Pure, apart from reading the file."""
