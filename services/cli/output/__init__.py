"""What commands print, and their exit codes."""
