"""Jobs are listed newest first and found by the beginning of their id."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from shared.errors import InvalidInputError, NotFoundError
from shared.reading.jobs import count_jobs, find_job, kind_of, list_jobs
from shared.reading.retrieve_json import job_json, retrieve_json
from tests.support.jobs.rows import NOW, a_query, a_retrieve, an_expected


@pytest.fixture
def jobs(session: Session) -> Session:
    session.add_all([a_query("abcd1111"), a_query("abcd2222", requested_at=NOW + timedelta(minutes=2))])
    session.flush()
    session.add(
        a_retrieve("abcd1111-r", "abcd1111", requested_at=NOW + timedelta(minutes=1), status="incomplete")
    )
    session.flush()
    return session


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        ("abcd1111", "abcd1111"),
        ("abcd1", "abcd1111"),
        ("abcd2", "abcd2222"),
        ("abcd1111-", "abcd1111-r"),
        (" abcd1111-r ", "abcd1111-r"),
    ],
)
def test_a_job_is_found_by_the_beginning_of_its_id(jobs: Session, text: str, job_id: str) -> None:
    # When / Then
    assert find_job(jobs, text).id == job_id


@pytest.mark.parametrize("text", ["", "abc", "abcd", "wxyz", "ab%d1111", "abc_1111", "../etc", "x" * 65])
def test_what_means_no_single_job_is_refused(jobs: Session, text: str) -> None:
    # When / Then
    with pytest.raises(NotFoundError) as refused:
        find_job(jobs, text)
    assert isinstance(refused.value, InvalidInputError)
    assert refused.value.field == "job"


def test_a_retrieve_can_be_read_by_kind(jobs: Session) -> None:
    # When
    found = find_job(jobs, "abcd1", "retrieve")
    # Then
    assert kind_of(found) == "retrieve"


def test_jobs_of_both_kinds_are_listed_newest_first(jobs: Session) -> None:
    # When
    listed = list_jobs(jobs)
    # Then
    assert [job["id"] for job in listed] == ["abcd2222", "abcd1111-r", "abcd1111"]
    assert [job["kind"] for job in listed] == ["query", "retrieve", "query"]
    retrieve = listed[1]
    assert retrieve["kind"] == "retrieve"
    assert retrieve["query"] == "abcd1111"
    assert listed[0]["requested_at"] == "2024-05-01T12:02:00Z"
    assert count_jobs(jobs) == 3


def test_the_list_can_be_narrowed_and_paged(jobs: Session) -> None:
    # When / Then
    assert [j["id"] for j in list_jobs(jobs, kind="query")] == ["abcd2222", "abcd1111"]
    assert [j["id"] for j in list_jobs(jobs, statuses=["incomplete"])] == ["abcd1111-r"]
    assert [j["id"] for j in list_jobs(jobs, 1, offset=1)] == ["abcd1111-r"]


def test_a_retrieve_has_the_keys_of_the_contract(jobs: Session) -> None:
    # Given
    jobs.add(a_retrieve("ret-1", "abcd1111", asked=6, arrived=1, verification="receipts"))
    jobs.flush()
    jobs.add_all(
        [
            an_expected("1.2", "1.2.1", "1.2.1.1", "ret-1"),
            an_expected("1.2", "1.2.1", "1.2.1.2", "ret-1", state="failed", reason="status_failure"),
            an_expected("1.2", "1.2.2", "", "ret-1", state="missing", reason="not_arrived", announced=4),
        ]
    )
    jobs.flush()
    # When
    read = retrieve_json(jobs, "ret-1")
    # Then
    assert list(read)[:6] == ["id", "kind", "query", "status", "counts", "missing"]
    assert {key: read["counts"][key] for key in ("asked", "arrived", "failed", "missing")} == {
        "asked": 6,
        "arrived": 1,
        "failed": 1,
        "missing": 4,
    }
    assert [(m["sop_instance_uid"], m["reason"]) for m in read["missing"]] == [
        ("1.2.1.2", "status_failure"),
        ("", "not_arrived"),
    ]
    assert read == job_json(jobs, find_job(jobs, "ret-1"))


def test_an_unknown_retrieve_is_refused(jobs: Session) -> None:
    # When / Then
    with pytest.raises(NotFoundError):
        retrieve_json(jobs, "nothing")
