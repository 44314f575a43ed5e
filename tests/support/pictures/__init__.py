"""Pictures of the page for README and docs."""
