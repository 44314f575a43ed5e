"""Filling archives that are no simulator with the simulator's studies."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator
from io import BytesIO

from pydicom.filewriter import dcmwrite

from simulator.archive.model import ArchiveMatch, Study
from simulator.content import build
from simulator.generator.generated_archive import generate

#: Modalities of whose series every object may be kept.
_WHOLE = frozenset({"MG", "DX", "CR", "PX", "SR"})
_MORE_THAN_A_DOSE_SCREEN = 6


def studies(number: int, seed: int = 11) -> list[Study]:
    """Return generated studies of a fixed month."""
    archive = generate(number, seed, dt.date(2024, 3, 1), dt.date(2024, 3, 30))
    return list(archive.studies())


def slim(study: Study) -> Study:
    """Return a study with few images, of which the same is to be kept; to fill an archive takes time.

    The first image of a series stays. Where no series is described, one of at most five objects may be a dose
    screen: more stay then.
    """
    few = 1 if any(entry.description for entry in study.series) else _MORE_THAN_A_DOSE_SCREEN
    series = [
        entry if entry.modality in _WHOLE else dataclasses.replace(entry, instances=entry.instances[:few])
        for entry in study.series
    ]
    return dataclasses.replace(study, series=tuple(series))


def files_of(made: Iterable[Study]) -> Iterator[tuple[str, bytes]]:
    """Yield each object of the studies as SOP Instance UID and Part 10 file."""
    for study in made:
        for series in study.series:
            for instance in series.instances:
                buffer = BytesIO()
                dcmwrite(buffer, build(ArchiveMatch(study, series, instance)), enforce_file_format=True)
                yield instance.sop_instance_uid, buffer.getvalue()
