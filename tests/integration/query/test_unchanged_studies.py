"""A study that has not grown since it was settled needs no look; one that has is looked at."""

from __future__ import annotations

import dataclasses

import pytest

from shared.clock import utc_now
from shared.database.models import QueryFind
from shared.database.models.store import REGISTERED
from simulator.archive.model import Study, StudyList
from tests.integration.query.test_query import CT, decisions, ready
from tests.support.jobs.rows import stored_objects
from tests.support.peers.studies import ct_study, mg_study, objects, series
from tests.support.services.in_process import kept_objects, kept_series


class Shelf(StudyList):
    """An archive whose studies change."""

    def refill(self, *studies: Study) -> None:
        """Hold these studies from now on."""
        StudyList.__init__(self, studies)


def bring(system, *studies) -> None:
    """Make all objects of studies known."""
    now = utc_now()
    with system.database.write() as session:
        for study in studies:
            session.add_all(stored_objects(study, REGISTERED, now))


def levels(system, query) -> set[str]:
    with system.database.read() as session:
        return set(
            session.scalars(
                QueryFind.__table__.select()
                .with_only_columns(QueryFind.level)
                .where(QueryFind.job_id == query["id"])
            )
        )


BOTH = CT | {"types": ["CT", "MG"]}


def test_what_is_known_and_has_not_grown_is_not_examined_again(system, scripted_pacs):
    # Given
    studies = [*(ct_study() for _ in range(4)), mg_study()]
    ready(system, scripted_pacs(studies))
    first = system.finished_query(BOTH)
    bring(system, *studies)
    # When
    second, third = system.finished_query(BOTH), system.finished_query(BOTH)
    # Then
    assert levels(system, first) == {"STUDY", "SERIES", "IMAGE"}
    assert levels(system, second) == levels(system, third) == {"STUDY"}
    assert {reason for _, _, reason in decisions(third).values()} == {"known"}
    assert {study["note"] for study in third["studies"]} == {"unchanged_since"}


def test_a_study_that_has_grown_is_examined_again(system, scripted_pacs):
    # Given
    study = ct_study()
    shelf = Shelf([study])
    ready(system, scripted_pacs(shelf))
    system.finished_query(CT)
    bring(system, study)
    late = series("rdsr_ct", number=99)
    grown = dataclasses.replace(study, series=(*study.series, late))
    # When
    shelf.refill(grown)
    query = system.finished_query(CT)
    # Then
    kept = {instance.sop_instance_uid for instance in late.instances}
    assert kept_objects(query) == kept or kept_series(query) == {late.series_instance_uid}


@pytest.mark.parametrize(
    ("change", "traits"),
    [
        ({"ignore_known": False}, {}),
        ({"toshiba": True}, {}),
        ({}, {"not_returned": ["NumberOfStudyRelatedSeries"]}),
        ({}, {"not_returned": ["NumberOfStudyRelatedInstances"]}),
    ],
    ids=str,
)
def test_it_is_examined_where_the_criteria_differ_or_the_pacs_does_not_count(
    system, scripted_pacs, change, traits
):
    # Given
    study = ct_study()
    ready(system, scripted_pacs([study], **traits))
    system.finished_query(CT)
    bring(system, study)
    # When
    query = system.finished_query(CT | change)
    # Then
    assert "SERIES" in levels(system, query)


def test_it_is_examined_while_something_of_it_has_not_arrived(system, scripted_pacs):
    # Given
    study = ct_study(reports=2)
    ready(system, scripted_pacs([study]))
    system.finished_query(CT)
    first, second = sorted(objects(study, content="rdsr_ct"))
    part = dataclasses.replace(
        study,
        series=tuple(
            dataclasses.replace(
                entry,
                instances=tuple(
                    instance for instance in entry.instances if instance.sop_instance_uid != second
                ),
            )
            for entry in study.series
        ),
    )
    bring(system, part)
    # When
    query = system.finished_query(CT)
    # Then
    assert kept_objects(query) == {second}
    assert first not in kept_objects(query)
