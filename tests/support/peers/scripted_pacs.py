"""The fixture that starts scripted PACS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from simulator.archive.model import Archive, Study
from simulator.behaviour import Behaviour
from simulator.scp import ScriptedPacs

PacsFactory = Callable[..., ScriptedPacs]


@pytest.fixture
def scripted_pacs() -> Iterator[PacsFactory]:
    """Start scripted PACS; all are stopped when the test ends.

    Call it with studies (or an archive), and traits of simulator.behaviour.Behaviour as keywords; `ae_title`,
    `destinations`, `port`, `log` and `ssl_context` go to the PACS itself.
    """
    started: list[ScriptedPacs] = []
    own = {"ae_title", "host", "port", "destinations", "log", "ssl_context"}

    def start(archive: Archive | Iterable[Study] = (), **options: Any) -> ScriptedPacs:
        traits = {name: value for name, value in options.items() if name not in own}
        rest = {name: value for name, value in options.items() if name in own}
        pacs = ScriptedPacs(archive, Behaviour(**traits), **rest)
        started.append(pacs)
        return pacs.start()

    yield start
    for pacs in started:
        pacs.stop()
