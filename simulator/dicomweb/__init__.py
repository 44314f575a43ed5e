"""The studies of a scripted PACS over DICOMweb: QIDO-RS and WADO-RS, with the habits of real servers."""
