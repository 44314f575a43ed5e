"""The doseqr command."""
