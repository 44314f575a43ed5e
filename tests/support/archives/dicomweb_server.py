"""The DICOMweb side of scripted PACS for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from simulator.archive.model import Archive, Study
from simulator.dicomweb.behaviour import WebBehaviour, WebFault
from simulator.dicomweb.server import DicomwebServer

ServerFactory = Callable[..., DicomwebServer]


@pytest.fixture
def dicomweb_server() -> Iterator[ServerFactory]:
    """Start servers with studies (or an archive) and a behaviour; all are stopped when the test ends.

    Other options are those of `DicomwebServer`.
    """
    started: list[DicomwebServer] = []

    def start(
        archive: Archive | Iterable[Study] = (), behaviour: WebBehaviour | None = None, **options: Any
    ) -> DicomwebServer:
        started.append(DicomwebServer(archive, behaviour, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


def web_fault(kind: str | int, *resources: str, times: int | None = None, **fields: Any) -> WebBehaviour:
    """Return a behaviour with one fault, by its kind or status; it strikes always unless `times` is given."""
    if isinstance(kind, int):
        fields |= {"kind": "status", "status": kind}
    else:
        fields["kind"] = kind
    fields |= {"always": True} if times is None else {"times": times}
    if resources:
        fields["resources"] = resources
    return WebBehaviour(faults=(WebFault(**fields),))
