"""What `doseqr check` looks at: settings, database, broker, this machine, nodes."""
