"""The pages of comparisons: begun by a form, shown with both sides, exported, retrieved."""

from __future__ import annotations

import pytest

from shared.contract.messages import RunRetrieve
from shared.database.models import Comparison
from tests.support.jobs.rows import NOW, a_query, a_series, a_study, an_object

FORM = {"node": "1", "types": "CT", "date_from": "2024-04-02", "date_until": "2024-04-02"}


@pytest.fixture
def ended(site):
    """A comparison with the store, which lacks an object."""
    site.listen_all()
    site.add(
        a_query("q1"),
        a_study("1.1", "q1"),
        a_series("1.1", "1.1.1", "q1"),
        an_object("1.1", "1.1.1", "1.1.1.1", "q1"),
        Comparison(id="c1", left_query="q1", left_name="pacs", right_name="store", requested_at=NOW),
    )
    return site


def test_a_comparison_begins_with_an_ordinary_query(site):
    # Given
    site.listen_all()
    importer = site.person("importer")
    # When
    response = importer.post("/comparisons", FORM)
    # Then
    job_id, command = site.command()
    assert response.status_code == 302
    assert (command.remote, command.criteria["types"], command.requested_by) == (1, ["CT"], "importer")
    assert command.criteria["ignore_known"] is True
    text = importer.text(response.location)
    assert "have not ended yet" in text
    assert f"/jobs/{job_id}" in text


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"date_from": ""}, "From: is needed"),
        ({"other": "1"}, "Against: is the same node"),
        ({"node": "9"}, "Remote node: there is no remote node"),
        ({"date_until": "2024-04-01"}, "From: 2024-04-02 is after date_until"),
    ],
)
def test_what_is_wrong_is_named_beside_its_field(site, change, problem):
    # When
    response = site.person("importer").post("/comparisons", FORM | change)
    # Then
    assert response.status_code == 422
    assert problem in response.text
    assert site.commands == []


def test_without_a_broker_worker_nothing_is_written(site, monkeypatch):
    # Given
    importer = site.person("importer")
    monkeypatch.setattr("services.web.pages.evidence.comparisons.publish_command", lambda *_, **__: None)
    # When
    response = importer.post("/comparisons", FORM)
    # Then
    assert response.status_code == 503
    with site.database.read() as session:
        assert session.query(Comparison).all() == []


def test_differences_are_shown_exported_and_retrieved(ended):
    # Given
    importer = ended.person("importer")
    # When
    text, csv = importer.text("/comparisons/c1"), importer.text("/comparisons/c1/differences.csv")
    response = importer.post("/comparisons/c1/retrieve")
    # Then
    assert "The sides differ." in text
    assert "Retrieve what store lacks (1 study)" in text
    assert csv.splitlines()[1] == "left,study,1.1,,,1,yes,,CT,"
    _, command = ended.command()
    assert isinstance(command, RunRetrieve)
    assert (command.query_id, command.study_instance_uids) == ("q1", ["1.1"])
    assert response.location == "/jobs/q1"


def test_a_viewer_reads_and_begins_nothing(ended):
    # Given
    viewer = ended.person("viewer")
    # Then
    assert "<form" not in viewer.text("/comparisons").split("<main")[1]
    assert "Retrieve what" not in viewer.text("/comparisons/c1")
    assert viewer.post("/comparisons", FORM).status_code == 403


def test_an_unknown_comparison_is_not_found(site):
    assert site.person("viewer").get("/comparisons/none").status_code == 404
