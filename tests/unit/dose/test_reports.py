"""Reports of the simulator and hostile ones: told by their figures, or said to be unreadable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from shared.dose.reports import summary_of
from shared.dose.summary import Summary
from shared.dose.tree import MAX_DEPTH, UnreadableReportError
from simulator.archive.model import ArchiveMatch
from simulator.content import build
from tests.support.peers.studies import series, study


def report(content: str) -> Dataset:
    """Return a report as the simulator writes it."""
    one = study(series(content))
    return build(ArchiveMatch(one, one.series[0], one.series[0].instances[0]))


def coded(value: str, meaning: str = "", scheme: str = "DCM") -> Sequence:
    entry = Dataset()
    entry.CodeValue, entry.CodingSchemeDesignator, entry.CodeMeaning = value, scheme, meaning
    return Sequence([entry])


def container(concept: str, *items: Dataset) -> Dataset:
    ds = Dataset()
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = coded(concept)
    ds.ContentSequence = Sequence(items)
    return ds


def number(concept: str, value: str | None, unit: str) -> Dataset:
    ds = Dataset()
    ds.ValueType = "NUM"
    ds.ConceptNameCodeSequence = coded(concept)
    if value is not None:
        measured = Dataset()
        measured.NumericValue = value
        measured.MeasurementUnitsCodeSequence = coded(unit, scheme="UCUM")
        ds.MeasuredValueSequence = Sequence([measured])
    return ds


@pytest.mark.parametrize(
    ("content", "kind", "figure", "unit"),
    [
        ("rdsr_ct", "ct", "DLP total", "mGy.cm"),
        ("rdsr_fl", "projection", "DAP total", "Gy.cm2"),
        ("rdsr_dx", "projection", "DAP total", "Gy.cm2"),
        ("rdsr_mg", "mammography", "AGD total", "mGy"),
        ("esr_ct", "ct", "DLP total", "mGy.cm"),
        ("esr_fl", "projection", "DAP total", "Gy.cm2"),
        ("rrdsr", "radiopharmaceutical", "administered activity", "MBq"),
    ],
)
def test_a_report_is_told_by_its_figures(content, kind, figure, unit):
    # When
    summary = summary_of(report(content))
    # Then
    assert summary.kind == kind
    assert summary.events > 0
    assert (figure, unit) in {(figure.name, figure.unit) for figure in summary.figures}
    assert Summary.from_json(summary.to_json()) == summary


def test_the_total_is_that_of_the_events():
    # When
    summary = summary_of(report("rdsr_ct"))
    # Then
    total = next(figure.value for figure in summary.figures if figure.name == "DLP total")
    assert total == pytest.approx(
        sum(figure.value for figure in summary.figures if figure.name == "DLP"), abs=0.1
    )


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [("0.0001", "Gy.m2", 1.0), ("25", "dGy.cm2", 2.5), ("120", "cGy.cm2", 1.2), ("3", "Gy.cm2", 3.0)],
)
def test_dose_area_products_are_told_in_one_unit(value, unit, told):
    # Given
    ds = container("113701", container("113702", number("113722", value, unit)))
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.value, figure.unit) == (told, "Gy.cm2")


@pytest.mark.parametrize("value", [None, "", "nan", "1e999"])
def test_a_measurement_without_a_value_is_left_out(value):
    # Given
    item = number("113722", "1", "Gy.m2")
    if value is None:
        del item.MeasuredValueSequence
    elif value == "":
        item.MeasuredValueSequence[0].NumericValue = None
    else:
        item.MeasuredValueSequence[0]._dict = {}
        item.MeasuredValueSequence[0].add_new("NumericValue", "UT", value)
    # When
    summary = summary_of(container("113701", container("113702", item)))
    # Then
    assert summary.figures == ()


def test_content_that_is_nested_too_deep_is_not_readable():
    # Given
    ds = container("113813")
    for _ in range(MAX_DEPTH + 5):
        ds = container("113813", ds)
    # When, Then
    with pytest.raises(UnreadableReportError, match="too_deep"):
        summary_of(ds)


def test_nothing_of_the_patient_is_taken_over():
    # Given
    ds = report("rdsr_ct")
    name = Dataset()
    name.ValueType, name.ConceptNameCodeSequence = "PNAME", coded("121008")
    name.PersonName = "Somebody^Very^Private"
    ds.ContentSequence.append(name)
    # When
    told = str(summary_of(ds).to_json())
    # Then
    assert "Somebody" not in told


_LEAVES = st.one_of(st.none(), st.text(max_size=5), st.integers(), st.floats())


def _hostile(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Dataset]:
    def tree(concept: str, value_type: str, value: Any, items: list[Any], broken: bool) -> Dataset:
        ds = number(concept, None, "") if broken else container(concept, *[item for item in items if item])
        ds.add_new("ValueType", "UT", value_type)
        measured = Dataset()
        measured.add_new("NumericValue", "UT", str(value))
        ds.MeasuredValueSequence = Sequence([measured])
        return ds

    concepts = st.sampled_from(
        ["113811", "113819", "113829", "113830", "113702", "113706", "113722", "113502"]
    )
    return st.builds(
        tree, concepts, st.text(max_size=4), _LEAVES, st.lists(children, max_size=3), st.booleans()
    )


@given(st.recursive(_LEAVES.map(lambda _leaf: None), _hostile, max_leaves=20))
def test_whatever_a_tree_holds_it_is_told_or_not_readable(tree):
    # Given
    ds = tree if isinstance(tree, Dataset) else Dataset()
    # When
    try:
        summary = summary_of(ds)
    except UnreadableReportError as error:
        told = str(error)
    else:
        told = summary.kind
    # Then
    assert told
