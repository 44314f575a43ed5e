"""Objects of a C-GET on their way to a store node: kept on disk as they come, and sent on by C-STORE."""
