"""DICOMweb (PS3.18) as a client: QIDO-RS and WADO-RS over the same port as C-FIND and C-GET."""
