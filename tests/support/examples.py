"""How many made-up examples a property is tried with: few in each run of the tests, many in `make soak`."""

from __future__ import annotations

import os


def examples(number: int) -> int:
    """Return this number, or the one that TEST_EXAMPLES sets for all properties."""
    return int(os.environ.get("TEST_EXAMPLES", number))
