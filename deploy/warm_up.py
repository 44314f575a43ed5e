"""Import what the services import, so that Python leaves its bytecode beside it."""

from __future__ import annotations

import compileall
import importlib
import sysconfig
from pathlib import Path

#: Entry points of processes, and what they load when they first need it.
MODULES = (
    *(f"services.{service}.main" for service in ("echo", "query", "retrieve", "store", "web", "cli")),
    "services.store.dose_reports.reader_main",
    "shared.notifications.transport.sender_main",
    "simulator.scp",
    "alembic.command",
    "alembic.runtime.migration",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


def main() -> None:
    """Import the modules; compile all of ours and of apprise, which loads by name."""
    packages = Path(sysconfig.get_path("purelib"))
    for module in MODULES:
        importlib.import_module(module)
    for folder in ("services", "shared", "simulator", "apprise"):
        compileall.compile_dir(packages / folder, quiet=1)


if __name__ == "__main__":
    main()
