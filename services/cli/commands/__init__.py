"""The subcommands of doseqr: each loads what it needs when it runs, so that `-h` and completion are quick."""
