"""Lists of studies that people upload: how a file is read, and the queries that a long one becomes."""
