"""Reading of dose reports in a process of its own."""
