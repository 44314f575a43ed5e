"""Remote and store nodes: their rows, and what it takes to reach them."""
