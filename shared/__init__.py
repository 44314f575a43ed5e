"""What the services share: contract, broker, DICOM, database. Imports no service."""
