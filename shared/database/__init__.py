"""The database: models by owner, sessions, migrations."""
