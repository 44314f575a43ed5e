"""Reports of the simulator and hostile ones: described by their figures, or reported as unreadable."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from shared.dose.reports import summary_of
from shared.dose.summary import MAX_FIGURES, Summary
from shared.dose.tree import MAX_DEPTH, UnreadableReportError
from simulator.archive.model import ArchiveMatch
from simulator.content import build
from tests.support.peers.studies import series, study


def report(content: str) -> Dataset:
    """Return a report as the simulator writes it."""
    report_study = study(series(content))
    return build(ArchiveMatch(report_study, report_study.series[0], report_study.series[0].instances[0]))


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
def test_a_report_is_described_by_its_figures(content, kind, figure, unit):
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
        sum(figure.value or 0.0 for figure in summary.figures if figure.name == "DLP"), abs=0.1
    )


@pytest.mark.parametrize(
    ("value", "unit", "converted"),
    [("0.0001", "Gy.m2", 1.0), ("25", "dGy.cm2", 2.5), ("120", "cGy.cm2", 1.2), ("3", "Gy.cm2", 3.0)],
)
def test_dose_area_products_are_given_in_one_unit(value, unit, converted):
    # Given
    ds = container("113701", container("113702", number("113722", value, unit)))
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.value, figure.unit) == (converted, "Gy.cm2")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "no_value"),
        ("", "no_value"),
        ("nan", "not_finite"),
        ("1e999", "not_finite"),
        ("Infinity", "not_finite"),
        ("1,5", "decimal_comma"),
        ("1.2\\3.4", "several_values"),
        ("see below", "not_a_number"),
        ("1.5 Gy", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1_000", "not_a_number"),
        ("9" * 400, "not_a_number"),
        ("-1.#IND", "not_finite"),
        ("1.#QNAN00", "not_finite"),
    ],
)
def test_a_measurement_without_a_number_names_the_problem(value, problem):
    # Given
    item = number("113722", "1", "Gy.m2")
    if value is None:
        del item.MeasuredValueSequence
    else:
        _raw_value(item, value.encode())
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.name, figure.value, figure.problem) == ("DAP total", None, problem)


@pytest.mark.parametrize("vr", ["DS", "UN", "LO", "UT", "CS"])
@pytest.mark.parametrize(
    ("value", "read"),
    [("1.235e+04", 12350.0), (" +12.50 ", 12.5), (".5", 0.5), ("5.", 5.0), ("-0", 0.0), ("1E-2\0", 0.01)],
)
def test_a_number_is_read_in_each_spelling_and_text_vr(value, read, vr):
    # Given
    item = number("113725", "1", "Gy")
    _raw_value(item, value.encode(), vr)
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.value, figure.problem) == (read, "")


def test_a_number_with_a_binary_vr_is_read():
    # Given
    item = number("113725", "1", "Gy")
    _raw_value(item, struct.pack("<d", 2.5), "FD")
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert figure.value == 2.5


def test_a_measurement_with_several_values_is_none_of_them():
    # Given
    item = number("113722", "1", "Gy.m2")
    item.MeasuredValueSequence.append(number("113722", "2", "Gy.m2").MeasuredValueSequence[0])
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.value, figure.problem) == (None, "several_values")


def _raw_value(item: Dataset, value: bytes, vr: str = "DS") -> None:
    """Give a measurement a value as it comes from a file, where pydicom has not converted it."""
    measured = item.MeasuredValueSequence[0]
    tag = Tag("NumericValue")
    measured._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def test_a_converted_product_keeps_what_the_report_has():
    # Given
    ds = container("113701", container("113702", number("113722", "150", "uGym2")))
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.value, figure.unit) == (1.5, "Gy.cm2")
    assert (figure.original_value, figure.original_unit) == (150.0, "uGym2")


@pytest.mark.parametrize(
    ("containers", "measured", "name", "converted"),
    [
        ("113829 113819 113701", ("113838", "0.45", "Gy.cm"), "DLP", (450.0, "mGy.cm")),
        ("113829 113819 113701", ("113830", "0.0125", "Gy"), "CTDIvol", (12.5, "mGy")),
        ("113811 113701", ("113813", "12345.6", "mGycm"), "DLP total", (12345.6, "mGy.cm")),
        ("113706 113701", ("111631", "0.012", "dGy"), "AGD", (1.2, "mGy")),
        ("113702 113701", ("111637", "0.0024", "Gy"), "AGD total", (2.4, "mGy")),
        ("113706 113701", ("113738", "25", "mGy"), "dose at reference point", (0.025, "Gy")),
        ("113702 113701", ("113725", "25", "mGy"), "dose at reference point total", (0.025, "Gy")),
        ("113702 113701", ("113730", "2", "min"), "fluoroscopy time total", (120.0, "s")),
        ("113502 113500", ("113507", "10", "mCi"), "administered activity", (370.0, "MBq")),
    ],
)
def test_every_kind_of_figure_is_given_in_one_unit(containers, measured, name, converted):
    # Given
    ds = number(*measured)
    for concept in containers.split():
        ds = container(concept, ds)
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.name, figure.value, figure.unit) == (name, *converted)
    assert (figure.original_value, figure.original_unit) == (float(measured[1]), measured[2])


def test_a_number_too_large_for_its_unit_is_left_as_it_is():
    # Given
    ds = container("113701", container("113702", number("113722", "1e308", "Gy.m2")))
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.value, figure.unit, figure.original_unit) == (1e308, "Gy.m2", "")


def test_a_product_in_an_unknown_unit_is_left_as_it_is():
    # Given
    ds = container("113701", container("113702", number("113722", "150", "R.cm2")))
    # When
    (figure,) = summary_of(ds).figures
    # Then
    assert (figure.value, figure.unit, figure.original_unit) == (150.0, "R.cm2", "")


def test_figures_of_a_thousand_events_are_all_there():
    # Given
    events = [container("113706", number("122130", "0.0001", "Gy.m2")) for _ in range(1000)]
    # When
    summary = summary_of(container("113701", *events))
    # Then
    assert (summary.events, len(summary.figures), summary.figures_left_out) == (1000, 1000, 0)
    assert summary.figures[-1].of == "event 1000"


def test_figures_beyond_the_limit_are_counted():
    # Given
    events = [container("113706", number("122130", "0.0001", "Gy.m2"))] * (MAX_FIGURES + 3)
    # When
    summary = summary_of(container("113701", *events))
    # Then
    assert (len(summary.figures), summary.figures_left_out) == (MAX_FIGURES, 3)
    assert Summary.from_json(summary.to_json()) == summary


def test_an_enhanced_report_has_totals_and_events():
    # Given (PS3.16 TID 10040 to 10042)
    ds = container(
        "113701",
        container(
            "130500",
            number("113722", "0.000123", "Gy.m2"),
            number("113730", "12", "s"),
            container("130502", number("113725", "0.5", "Gy")),
        ),
        container("130501", number("113738", "0.25", "Gy")),
        container("130501", number("113738", "0.25", "Gy")),
    )
    # When
    summary = summary_of(ds)
    # Then
    assert (summary.kind, summary.events) == ("projection", 2)
    assert [(figure.name, figure.value, figure.unit, figure.of) for figure in summary.figures] == [
        ("DAP total", 1.23, "Gy.cm2", ""),
        ("dose at reference point total", 0.5, "Gy", ""),
        ("fluoroscopy time total", 12.0, "s", ""),
        ("dose at reference point", 0.25, "Gy", "event 1"),
        ("dose at reference point", 0.25, "Gy", "event 2"),
    ]


def test_sources_of_an_enhanced_report_stay_apart():
    # Given a biplane system
    ds = container("113701", *(container("130500", number("113725", dose, "Gy")) for dose in ("1", "2")))
    # When
    summary = summary_of(ds)
    # Then
    assert [(figure.value, figure.of) for figure in summary.figures] == [(1.0, "source 1"), (2.0, "source 2")]


@pytest.mark.parametrize(
    ("total", "event", "kind"),
    [
        (("113813", "100", "mGy.cm"), ("113838", "100", "mGy.cm"), "ct"),
        (("111637", "1.5", "mGy"), ("111631", "1.5", "mGy"), "mammography"),
    ],
)
def test_an_enhanced_report_has_the_kind_of_its_figures(total, event, kind):
    # Given
    ds = container("113701", container("130500", number(*total)), container("130501", number(*event)))
    # When
    summary = summary_of(ds)
    # Then
    assert (summary.kind, summary.events, len(summary.figures)) == (kind, 1, 2)


def test_a_report_of_two_kinds_has_the_figures_of_both():
    # Given
    ds = container(
        "113701",
        container("113811", number("113813", "100", "mGy.cm")),
        container("113702", number("113722", "0.0001", "Gy.m2")),
    )
    # When
    summary = summary_of(ds)
    # Then
    assert summary.kind == "ct"
    assert [figure.name for figure in summary.figures] == ["DLP total", "DAP total"]


def named(value: str, scheme: str, meaning: str, concept: tuple[str, str] = ("113764", "DCM")) -> Dataset:
    """Return an item with a code: an acquisition plane, or another concept."""
    ds = Dataset()
    ds.ValueType = "CODE"
    ds.ConceptNameCodeSequence = coded(concept[0], scheme=concept[1])
    ds.ConceptCodeSequence = coded(value, meaning, scheme)
    return ds


def under(item: Dataset, *children: Dataset) -> Dataset:
    item.ContentSequence = Sequence(children)
    return item


AGD, SIDE = ("111637", "1.5", "mGy"), ("G-C171", "SRT")
PLANE_A, PLANE_B = named("113620", "DCM", "Plane A"), named("113621", "DCM", "")


@pytest.mark.parametrize(
    ("items", "names"),
    [
        # each container has a plane or side, with or without a meaning
        (
            [container("113702", plane, number("113722", "1", "Gy.cm2")) for plane in (PLANE_A, PLANE_B)],
            ["Plane A", "Plane B"],
        ),
        (
            [
                container("113702", named("T-04030", "SRT", "", SIDE), number(*AGD)),
                container("113702", named("T-04020", "SNM3", "", ("G-C171", "SNM3")), number(*AGD)),
                container("113702", named("63762007", "SCT", "", ("272741003", "SCT")), number(*AGD)),
            ],
            ["left breast", "right breast", "both breasts"],
        ),
        # one container, and each total names its own
        (
            [
                container(
                    "113702",
                    under(number("113722", "1", "Gy.cm2"), PLANE_A),
                    under(number("113722", "2", "Gy.cm2"), PLANE_B),
                    number("113725", "2", "Gy"),
                )
            ],
            ["Plane A", "Plane B", ""],
        ),
        # what fluoroscopy and acquisitions took, only where there is no total of both
        (
            [container("113702", number("113726", "1", "Gy.m2"), number("113727", "2", "Gy.m2"))],
            ["fluoroscopy", "acquisition"],
        ),
        (
            [container("113702", PLANE_A, number("113728", "1", "Gy"), number("113729", "2", "Gy"))],
            ["Plane A, fluoroscopy", "Plane A, acquisition"],
        ),
        ([container("113702", number("113726", "1", "Gy.m2"), number("113722", "3", "Gy.m2"))], [""]),
        # a container within another of its kind is not counted twice
        ([container("113702", container("113702", number("113722", "1", "Gy.m2")))], [""]),
        (
            [
                container(
                    "113811",
                    under(number("113813", "1", "mGy.cm"), named("113691", "DCM", "", ("113835", "DCM"))),
                )
            ],
            ["IEC Body Dosimetry Phantom"],
        ),
        # a code without any meaning is named by its value
        (
            [
                container(
                    "113502", named("C-B1031", "SRT", "", ("F-61FDB", "SRT")), number("113507", "1", "MBq")
                )
            ],
            ["C-B1031"],
        ),
    ],
)
def test_each_total_names_its_plane_side_or_mode(items, names):
    # When
    summary = summary_of(container("113701", *items))
    # Then
    assert [figure.of for figure in summary.figures] == names


@pytest.mark.parametrize(
    ("items", "kind", "figures"),
    [
        ([number("113813", "100", "mGy.cm")], "ct", [("DLP total", "")]),
        (
            [container("113829", number("113838", "100", "mGy.cm"), number("113830", "5", "mGy"))],
            "ct",
            [("CTDIvol", ""), ("DLP", "")],
        ),
        ([number("113722", "1", "Gy.m2")], "projection", [("DAP total", "")]),
        ([number(*AGD)], "mammography", [("AGD total", "")]),
        ([number("111631", "1", "mGy")], "mammography", [("AGD", "")]),
        ([number("113507", "1", "MBq")], "radiopharmaceutical", [("administered activity", "")]),
        (
            [number("113722", "1", "Gy.m2"), container("113706", number("122130", "1", "Gy.m2"))],
            "projection",
            [("DAP total", ""), ("DAP", "event 1")],
        ),
        ([number("121211", "1", "mm")], "other", []),
    ],
)
def test_figures_outside_of_their_containers_are_found(items, kind, figures):
    # When
    summary = summary_of(container("113701", *items))
    # Then
    assert summary.kind == kind
    assert [(figure.name, figure.of) for figure in summary.figures] == figures


@pytest.mark.parametrize(
    ("value", "designator", "uid", "is_read"),
    [
        ("113722", "dcm", "", True),
        ("113722", " DCM", "", True),
        ("113722", "", "1.2.840.10008.2.16.4", True),
        ("113722", "", "", True),
        ("113722", "99XXX", "", False),
        ("113722", "99XXX", "1.2.840.10008.2.16.4", False),
        ("113722", "", "2.16.840.1.113883.6.96", False),
        ("T-13722", "", "", False),
    ],
)
def test_a_code_counts_by_its_scheme_however_that_is_written(value, designator, uid, is_read):
    # Given
    item = number("113722", "1", "Gy.cm2")
    concept = item.ConceptNameCodeSequence[0]
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodingSchemeUID = value, designator, uid
    # When
    figures = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert bool(figures) is is_read


@pytest.mark.parametrize(
    ("concept", "side"),
    [(("G-C171", "SCT"), ("T-04030", "SCT")), (("272741003", "SRT"), ("80248007", "SRT"))],
)
def test_a_snomed_code_of_the_other_edition_counts_by_its_form(concept, side):
    # Given: RT codes in the name of CT, as where only the designators were changed, and the other way round
    item = under(number("111637", "1.2", "mGy"), named(side[0], side[1], "Left breast", concept))
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert figure.of == "left breast"


@pytest.mark.parametrize(
    ("code", "meaning", "unit"),
    [
        ("99U1", "dGy.cm2", "dGy.cm2"),
        ("", "dGy.cm2", "dGy.cm2"),
        ("1", "no units", "1"),
        ("mSv", "mSv", "mSv"),
        ("99U1", "", "99U1"),
    ],
)
def test_a_unit_is_read_from_its_meaning_if_its_code_is_none(code, meaning, unit):
    # Given
    item = number("113722", "1", code)
    item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = coded(code, meaning, "UCUM")
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert unit in {figure.unit, figure.original_unit}


@pytest.mark.parametrize("encodings", ["shift_jis", "gb18030", "iso_ir_166", "UTF8", "iso8859_7"])
def test_a_micro_sign_of_latin_1_is_read_under_any_character_set(encodings):
    # Given
    item = number("113722", "150", "1")
    unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    tag = Tag("CodeValue")
    unit._dict[tag] = RawDataElement(tag, "SH", 7, b"\xb5Gy.m\xb2", 0, False, True)
    unit.set_original_encoding(False, True, encodings)
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.value, figure.unit) == (1.5, "Gy.cm2")


def test_a_floating_point_value_stands_in_for_a_numeric_one():
    # Given
    item = number("113722", "", "Gy.cm2")
    item.MeasuredValueSequence[0].FloatingPointValue = 1.25
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.value, figure.problem) == (1.25, "")


def test_a_dose_that_is_a_text_has_no_value():
    # Given
    item = number("113722", None, "")
    item.ValueType, item.TextValue = "TEXT", "1.5 Gy.cm2"
    # When
    (figure,) = summary_of(container("113701", container("113702", item))).figures
    # Then
    assert (figure.value, figure.problem) == (None, "no_value")


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
    text = str(summary_of(ds).to_json())
    # Then
    assert "Somebody" not in text


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
def test_whatever_a_tree_holds_it_is_described_or_not_readable(tree):
    # Given
    ds = tree if isinstance(tree, Dataset) else Dataset()
    # When
    try:
        summary = summary_of(ds)
    except UnreadableReportError as error:
        text = str(error)
    else:
        text = summary.kind
    # Then
    assert text
