"""The figures of dose reports, read from their content trees. Pure, apart from reading the file."""
