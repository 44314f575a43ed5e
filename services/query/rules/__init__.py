"""The decision rules: from the matches of a study to keep or drop. Pure."""
