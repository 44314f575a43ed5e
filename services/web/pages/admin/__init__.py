"""Pages of administrators: tokens of the API, the audit trail, and how the system stands."""
