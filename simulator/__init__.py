"""A scripted PACS: real DICOM answers and faults from a small description."""
