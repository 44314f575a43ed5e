"""`doseqr` whose first query covers a week: that of a whole month is shown by `doseqr local demo`."""

from __future__ import annotations

from services.cli.local import system
from services.cli.main import main

system.FIRST_QUERY_DAYS = 6

__all__ = ["main"]
