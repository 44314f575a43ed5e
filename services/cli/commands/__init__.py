"""The subcommands of doseqr."""
