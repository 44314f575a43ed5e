"""Options that belong together, declared once for the commands that take them."""
