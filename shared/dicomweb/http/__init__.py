"""HTTP as DICOMweb needs it: addresses, connections, authentication, and what statuses mean."""
