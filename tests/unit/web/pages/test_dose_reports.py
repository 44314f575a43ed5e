"""What the dose reports of a retrieve say, on its page and as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from services.web.views.report_text import key_figures
from shared.database.models import ReportSummary, StoredObject
from shared.dose.summary import FigureJson, SummaryJson
from shared.reading.summaries import BriefSummary, ReportEntry, brief
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study, an_expected

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"


def figure(name: str, value: float, unit: str, of: str = "") -> FigureJson:
    return {"name": name, "value": value, "unit": unit, "of": of}


def stored(uid: str, sop_class_uid: str = RDSR) -> StoredObject:
    return StoredObject(
        sop_instance_uid=uid,
        series_instance_uid="1.2",
        study_instance_uid="1.1",
        sop_class_uid=sop_class_uid,
        source="store",
        received_at=NOW,
        last_received_at=NOW,
    )


@pytest.fixture
def retrieved(site):
    """A retrieve of three reports: read, unreadable, not read yet."""
    figures = [
        figure("DLP total", 236.09, "mGy.cm"),
        *(figure("DLP", 10.5 + number, "mGy.cm", f"event {number}") for number in range(1, 6)),
    ]
    summary = {"kind": "ct", "events": 5, "figures": figures}
    site.add(
        a_query("q1"),
        a_study("1.1", "q1"),
        a_retrieve("r1", "q1"),
        *(an_expected("1.1", "1.2", f"1.3.{number}", "r1") for number in range(3)),
        *(stored(f"1.3.{number}") for number in range(3)),
        ReportSummary(sop_instance_uid="1.3.0", summary=summary, read_at=NOW),
        ReportSummary(sop_instance_uid="1.3.1", unreadable="malformed", read_at=NOW),
    )
    return site


def test_the_page_shows_figures_and_what_is_not_readable(retrieved):
    # When
    page = retrieved.person("viewer").text("/jobs/r1")
    # Then
    assert "DLP total 236.1 mGy·cm; DLP 11.5, 12.5, 13.5, 14.5, … mGy·cm" in page
    assert "Its content is malformed. The object is stored as it came." in page
    assert "Being read" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12345.6, "12345.6 mGy"),
        (12350.0, "12350 mGy"),
        (1e16, "10000000000000000 mGy"),
        (0.0000123, "0.0000123 mGy"),
        (236.09, "236.1 mGy"),
        (0.0, "0 mGy"),
        (-0.5, "-0.5 mGy"),
    ],
)
def test_a_number_is_shown_without_an_exponent(value, shown):
    # Given
    summary: BriefSummary = {"kind": "ct", "events": 0, "figures": [figure("CTDIvol", value, "mGy")]}
    # When, Then
    assert key_figures(summary) == f"CTDIvol {shown}"


def test_figures_in_several_units_stand_apart():
    # Given
    figures = [
        figure("AGD", 1.2, "mGy", "event 1"),
        figure("AGD", 0.012, "dGy", "event 2"),
        figure("AGD", 1.4, "mGy", "event 3"),
    ]
    # When
    text = key_figures({"kind": "mammography", "events": 3, "figures": figures})
    # Then
    assert text == "AGD 0.012 dGy; AGD 1.2, 1.4 mGy"


def test_a_figure_without_a_number_is_named_with_its_problem():
    # Given
    unreadable: FigureJson = {
        "name": "DAP total",
        "value": None,
        "unit": "Gy.m2",
        "of": "",
        "problem": "decimal_comma",
    }
    of_event: FigureJson = {
        "name": "DAP",
        "value": None,
        "unit": "Gy.m2",
        "of": "event 1",
        "problem": "no_value",
    }
    figures: SummaryJson = {"kind": "projection", "events": 1, "figures": [unreadable, of_event]}
    entry: ReportEntry[SummaryJson] = {
        "study_instance_uid": "1.1",
        "series_instance_uid": "1.2",
        "sop_instance_uid": "1.3",
        "type": "FL",
        "state": "read",
        "reason": "",
        "summary": figures,
    }
    # When
    summary = brief(entry)["summary"]
    assert summary is not None
    text = key_figures(summary)
    # Then
    assert text == "DAP total not readable (has a comma); 1 figure of an event not readable"


def test_figures_left_out_of_a_summary_are_counted():
    # Given
    summary: BriefSummary = {
        "kind": "ct",
        "events": 0,
        "figures": [figure("DLP total", 1.0, "mGy.cm")],
        "figures_left_out": 7,
    }
    # When, Then
    assert key_figures(summary) == "DLP total 1 mGy·cm; 7 more only in the report itself"


def test_a_retrieve_without_reports_shows_no_table(site):
    # Given
    site.add(a_query("q1"), a_retrieve("r1", "q1"), an_expected("1.1", "1.2", "1.3.9", "r1"))
    # When
    page = site.person("viewer").text("/jobs/r1")
    # Then: nor a download of nothing
    assert "Download CSV" not in page
    assert '<th scope="col">Figures</th>' not in page


def test_the_page_explains_why_objects_have_no_figures(retrieved):
    # Given
    retrieved.add(
        *(an_expected("1.1", "1.2", f"1.4.{number}", "r1") for number in range(3)),
        stored("1.4.0", "1.2.840.10008.5.1.4.1.1.2"),
        an_expected("1.1", "1.5", "", "r1", announced=4),
        an_expected("1.1", "1.2", "1.4.9", "r1", state="missing"),
    )
    # When
    page = retrieved.person("viewer").text("/jobs/r1")
    # Then
    assert "1 object is no dose report" in page
    assert "6 objects went to doseqr: only what is in DoseQR's own store is read." in page


def test_a_page_of_reports_alone_mentions_no_others(retrieved):
    # When
    page = retrieved.person("viewer").text("/jobs/r1")
    # Then
    assert "no dose report" not in page
    assert "own store is read" not in page


def test_the_export_has_a_line_for_each_figure_and_no_formula(retrieved):
    # Given
    wicked = {"kind": "ct", "events": 1, "figures": [figure("=1+1", 2.0, "@unit", "-of")]}
    retrieved.add(
        an_expected("1.1", "1.2", "1.3.4", "r1"),
        stored("1.3.4"),
        ReportSummary(sop_instance_uid="1.3.4", summary=wicked, read_at=NOW),
    )
    # When
    response = retrieved.person("viewer").get("/jobs/r1/reports.csv")
    lines = list(csv.DictReader(io.StringIO(response.text)))
    # Then
    assert response.mimetype == "text/csv"
    assert [line["state"] for line in lines] == ["read"] * 6 + ["unreadable", "waiting", "read"]
    assert (lines[0]["figure"], lines[0]["value"], lines[0]["unit"]) == ("DLP total", "236.09", "mGy.cm")
    assert (lines[-1]["figure"], lines[-1]["of"], lines[-1]["unit"]) == ("'=1+1", "'-of", "'@unit")


def test_the_export_has_plain_numbers_originals_and_problems(retrieved):
    # Given
    converted = figure("DAP total", 1.5, "Gy.cm2") | {"original_value": 1.5e-05, "original_unit": "Gy.m2"}
    unreadable = figure("DAP", 0.0, "uGy.m2", "event 1") | {"value": None, "problem": "decimal_comma"}
    summary = {"kind": "projection", "events": 1, "figures": [converted, unreadable], "figures_left_out": 4}
    retrieved.add(
        an_expected("1.1", "1.2", "1.3.4", "r1"),
        stored("1.3.4"),
        ReportSummary(sop_instance_uid="1.3.4", summary=summary, read_at=NOW),
    )
    # When
    response = retrieved.person("viewer").get("/jobs/r1/reports.csv")
    total, event, left_out = list(csv.DictReader(io.StringIO(response.text)))[-3:]
    # Then
    assert (total["value"], total["unit"]) == ("1.5", "Gy.cm2")
    assert (total["original_value"], total["original_unit"]) == ("0.000015", "Gy.m2")
    assert (event["value"], event["unit"], event["problem"]) == ("", "uGy.m2", "decimal_comma")
    assert (left_out["figure"], left_out["value"]) == ("figures left out", "4")


def test_only_a_retrieve_has_an_export(retrieved):
    # When, Then
    assert retrieved.person("viewer").get("/jobs/q1/reports.csv").status_code == 404
    assert retrieved.person("viewer").get("/jobs/none/reports.csv").status_code == 404
