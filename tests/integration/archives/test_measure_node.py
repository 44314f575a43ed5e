"""Measuring archives that others wrote: what is measured of Orthanc and of DCMTK's dcmqrscp."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from services.query.profile.learner import Learner
from services.query.profile.measure_node import MAX_REQUESTS, MeasurementSession, measured_everything
from services.query.profile.measurement_plan import MeasurementPlan
from shared.clock import utc_now
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer, Timeouts
from shared.node_access.pool import AssociationPool
from shared.querying.profile import LIST_LENGTH, Profile
from simulator.archive.model import Study
from tests.support.archives.content import files_of, studies

STUDIES = 30


def measured(database: Database, host: str, port: int, ae_title: str, today: dt.date) -> Profile:
    """Return what one measurement finds out."""
    peer = Peer(host, port, ae_title, "DOSEQR")
    learner = Learner(database, 1, peer, utc_now)
    pool = AssociationPool(Timeouts(5, 20))
    try:
        measurement = MeasurementSession(pool, peer, learner, Cancellation())
        ended = measured_everything(measurement, MeasurementPlan(today, learner.learn))
    finally:
        pool.close()
    assert ended.ok
    assert 10 < measurement.sent <= MAX_REQUESTS
    return learner.profile


def last_day(made: Iterable[Study]) -> dt.date:
    return max(study.date for study in made if study.date is not None)


def small(number: int) -> list[Study]:
    """Return studies of which each series has one object."""
    return [
        replace(study, series=tuple(replace(entry, instances=entry.instances[:1]) for entry in study.series))
        for study in studies(number)
    ]


def test_orthanc_matches_codes_and_takes_lists(make_orthanc, sqlite_database):
    # Given
    orthanc, made = make_orthanc("ORTHANC"), small(STUDIES)
    for _, content in files_of(made):
        orthanc.add_bytes(content)
    # When
    known = measured(sqlite_database, orthanc.host, orthanc.port, "ORTHANC", last_day(made))
    # Then
    assert (known.modalities_matched, known.modalities_returned, known.relational) == (True, True, True)
    assert (known.study_list, known.series_list, known.image_list) == (LIST_LENGTH,) * 3
    assert known.code_list is not None
    assert known.code_list > 1
    assert (known.counts_trusted, known.cap, known.refused_keys) == (True, None, ())


def test_dcmqrscp_matches_and_returns_little_and_takes_lists(make_dcmqrscp, sqlite_database, tmp_path):
    # Given
    made = small(12)
    archive = make_dcmqrscp("QRSCP", {})
    files = []
    for number, (_, content) in enumerate(files_of(made)):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(content)
    archive.add(files)
    # When
    known = measured(sqlite_database, "127.0.0.1", archive.port, "QRSCP", last_day(made))
    # Then
    assert (known.modalities_matched, known.modalities_returned, known.relational) == (False, False, False)
    assert (known.study_list, known.series_list, known.image_list) == (LIST_LENGTH,) * 3
    assert (known.returns_sop_classes, known.returns_station_names) == (False, False)
    assert (known.returns_series_counts, known.counts_trusted, known.cap) == (False, None, None)
