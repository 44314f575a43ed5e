"""Real reports of many vendors: the figures that a person reads in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from shared.dose.reports import read_summary
from shared.dose.tree import UnreadableReportError

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"

pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real sample files are not here"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]


@pytest.mark.parametrize(
    ("name", "kind", "events", "first"),
    [
        ("CT-RDSR-GEPixelMed", "ct", 2, ("DLP total", 586.34, "mGy.cm")),
        ("CT-RDSR-Siemens-Continued-1", "ct", 2, ("DLP total", 60.17, "mGy.cm")),
        ("CT-RDSR-Siemens-Continued-2", "ct", 2, ("DLP total", 56.44, "mGy.cm")),
        ("CT-RDSR-Siemens-Multi-3", "ct", 3, ("DLP total", 236.09, "mGy.cm")),
        ("CT-RDSR-ToshibaPixelMed", "ct", 3, ("DLP total", 349.7, "mGy.cm")),
        ("CT-RDSR-Toshiba_DoseCheck", "ct", 2, ("DLP total", 502.4, "mGy.cm")),
        ("CT-ESR-GE_Optima", "ct", 6, ("DLP total", 415.82, "mGy.cm")),
        ("NM-CT-RDSR-Siemens", "ct", 2, ("DLP total", 667.72, "mGy.cm")),
        ("DX-RDSR-Canon_CXDI", "projection", 1, ("DAP total", 0.107, "Gy.cm2")),
        ("Dual-RDSR-DX", "projection", 1, ("DAP total", 0.0239, "Gy.cm2")),
        ("RF-RDSR-Eurocolumbus", "projection", 4, ("DAP total", 0.09, "Gy.cm2")),
        ("RF-RDSR-GE", "projection", 8, ("DAP total", 2.4126, "Gy.cm2")),
        ("RF-RDSR-Philips_Allura", "projection", 3, ("DAP total", 1.5356864017, "Gy.cm2")),
        ("RF-ESR-Siemens-Varic", "projection", 0, ("DAP total", 0.2359, "Gy.cm2")),
        ("MG-RDSR-Hologic_2D", "mammography", 2, ("AGD total", 1.3, "mGy")),
        ("MG-RDSR-GEPristina-DBT", "mammography", 1, ("AGD total", 0.0, "mGy")),
        ("NM-RRDSR-Siemens", "radiopharmaceutical", 1, ("administered activity", 394.0, "MBq")),
    ],
)
def test_a_real_report_is_described_by_its_figures(name, kind, events, first):
    # When
    summary = read_summary(SAMPLES / f"{name}.dcm")
    # Then
    figure = summary.figures[0]
    assert (summary.kind, summary.events) == (kind, events)
    assert (figure.name, figure.value, figure.unit) == first


def test_sides_and_agents_are_named():
    # When
    mammography = read_summary(SAMPLES / "MG-RDSR-Hologic_2D.dcm")
    fdg = read_summary(SAMPLES / "NM-RRDSR-Siemens.dcm")
    # Then
    assert [(figure.value, figure.of) for figure in mammography.figures[:2]] == [
        (1.3, "left breast"),
        (1.28, "right breast"),
    ]
    assert fdg.figures[0].of == "Fluorodeoxyglucose F^18^"


def test_a_report_without_content_is_not_readable():
    # When, Then
    with pytest.raises(UnreadableReportError, match="no_content"):
        read_summary(SAMPLES / "ESR_non-dose.dcm")


#: Concepts of doses that a person looks for in a report (PS3.16).
DOSES = {
    **dict.fromkeys(("113813", "113830", "113838", "113722", "113725", "113730", "122130", "113738"), "DCM"),
    **dict.fromkeys(("111637", "111631", "113507"), "DCM"),
}


def measurements(ds: Dataset) -> Iterator[float]:
    """Yield the numbers of dose measurements in a content tree, read without the code under test."""
    for item in ds.get("ContentSequence", []):
        concept = item.ConceptNameCodeSequence[0] if "ConceptNameCodeSequence" in item else Dataset()
        is_dose = DOSES.get(concept.get("CodeValue", "")) == concept.get("CodingSchemeDesignator")
        if is_dose and item.get("MeasuredValueSequence"):
            yield float(item.MeasuredValueSequence[0].NumericValue)
        yield from measurements(item)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*R*SR*.dcm")), ids=lambda path: path.stem)
def test_every_dose_of_a_real_report_is_a_figure(path):
    # Given
    expected: Counter[float | None] = Counter(measurements(dcmread(path)))
    # When
    figures = read_summary(path).figures
    # Then
    originals: Counter[float | None] = Counter(
        figure.value if figure.original_value is None else figure.original_value for figure in figures
    )
    assert not expected - originals
    assert not [figure for figure in figures if figure.value is None and figure.problem != "no_value"]
