"""The DICOM upper layer (PS3.8) as far as a requestor of C-FIND needs it: pure codecs, and a connection."""
