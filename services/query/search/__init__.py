"""The search for studies at STUDY level: slices, UID lists, splitting and merging."""
