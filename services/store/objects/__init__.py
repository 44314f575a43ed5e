"""Objects on disk: paths, temporary files, identity, Part 10."""
