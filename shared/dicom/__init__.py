"""DICOM: identifiers, associations, C-FIND, status codes in words."""
