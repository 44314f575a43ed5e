"""A query and its retrieve through services that are processes of their own."""

from __future__ import annotations

from collections import Counter

from shared.contract.messages import Completed, StudiesDecided
from tests.e2e.archive import ORDER, mixed_archive, wanted
from tests.support.waiting import wait_until

SERVICES = ("query", "query", "retrieve", "retrieve", "store", "echo")


def test_two_workers_of_each_kind_bring_all_and_publish_once(installation, serving, scripted_pacs):
    # Given
    archive = mixed_archive(80)
    pacs = scripted_pacs(archive, destinations={"DOSEQR": installation.store_address})
    _, observer = serving(*SERVICES)
    where = ("--host", "127.0.0.1", "--port", str(pacs.port), "--ae-title", pacs.ae_title)
    assert installation.doseqr("nodes", "add", "remote", "pacs", *where).code == 0
    # When
    done = installation.doseqr(*ORDER, "--retrieve")
    # Then
    assert done.code == 0, done.err
    query, retrieve = done.json, done.json["retrieve"]
    assert (query["status"], retrieve["status"]) == ("completed", "completed")
    assert query["counts"]["found"] == query["counts"]["examined"] == 72
    assert query["counts"]["by_type"] == {"CT": 48, "DX": 16, "MG": 8}
    assert query["missing"] == retrieve["missing"] == []
    expected = wanted(archive)
    assert (
        retrieve["counts"]["asked"]
        == retrieve["counts"]["arrived"]
        == len(expected)
        == pacs.witness.objects_sent
    )
    assert observer.files() == expected
    # And
    for job in (query["id"], retrieve["id"]):
        wait_until(lambda job=job: bool(observer.endings(job)))  # type: ignore[misc]
        assert [type(event) for event in observer.endings(job)] == [Completed]
    verdicts = Counter(
        study.study_instance_uid for event in observer.published(StudiesDecided) for study in event.studies
    )
    assert set(verdicts.values()) == {1}
    assert set(verdicts) == {study["study_instance_uid"] for study in query["studies"]}
