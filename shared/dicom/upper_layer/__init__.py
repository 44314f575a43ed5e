"""The DICOM upper layer (PS3.8) as far as a requestor of C-FIND and an acceptor of C-STORE need it."""
