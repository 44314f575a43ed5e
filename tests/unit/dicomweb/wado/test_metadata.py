"""Metadata of one object in DICOM JSON, made a header."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread

from shared.dicom.part10 import file_head
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.dicomweb.http.address import web_address
from shared.dicomweb.wado.metadata import header_of

MG, CAPTURE, EXPLICIT = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.1"


def attributes(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.70"]},
        "00080016": {"vr": "UI", "Value": [MG]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00080080": {"vr": "LO", "Value": ["Klinik Süd"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.1"]},
        "00400316": {"vr": "DS", "Value": [0.0123]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://here/pixels"},
    }
    return given | more


def made(given: object, values: dict[str, bytes] | None = None) -> Any:
    header = header_of(json.dumps(given).encode(), "1.2.3.4", (values or {}).get)
    head = file_head(sop_class_uid=MG, sop_instance_uid="1.2.3.4", transfer_syntax_uid=EXPLICIT)
    return dcmread(BytesIO(head + header))


def test_metadata_become_a_header_that_names_what_is_absent() -> None:
    # Given
    short = {"vr": "OB", "BulkDataURI": "http://here/short"}
    lost = {"vr": "OB", "BulkDataURI": "http://here/lost"}
    inline = {"vr": "OB", "InlineBinary": "AQI="}
    given = attributes(**{"00282000": short, "00420010": inline, "00281201": lost})

    # When
    header = made([given], {"http://here/short": b"abc"})

    # Then
    assert (header.OrganDose, header.InstitutionName) == (0.0123, "Klinik Süd")
    assert header[0x00282000].value == b"abc\0"
    mark = header.private_block(0x0009, "DOSEQR HEADER")
    assert mark[1].value == "WADO-RS METADATA"
    assert list(mark[3].value) == [0x00281201, 0x7FE00010]
    assert 0x00281201 not in header
    assert "PixelData" not in header


@pytest.mark.parametrize(
    "given",
    [
        [],
        {},
        [attributes(), attributes()],
        [attributes(**{"00080018": {"vr": "UI", "Value": ["9.9"]}})],
        [attributes(**{"00080016": {"vr": "UI", "Value": [CAPTURE]}})],
        [{"00080018": {"vr": "UI", "Value": ["1.2.3.4"]}}],
        [{"no tag": 1}],
        [attributes(**{"00280010": {"vr": "US", "Value": ["many"]}})],
        [attributes(**{"00181150": {"vr": "IS", "Value": [161.3]}})],
        [attributes(**{"00181150": {"vr": "IS", "Value": ["161.3"]}})],
        [attributes(**{"00187052": {"vr": "DS", "Value": ["1.06,0.206"]}})],
        [attributes(**{"00081140": {"vr": "SQ", "Value": [{"00181150": {"vr": "IS", "Value": [1, 0.5]}}]}})],
        "<html>",
    ],
)
def test_what_is_no_metadata_of_the_object_makes_no_header(given) -> None:
    with pytest.raises(MalformedDataSetError):
        made(given)


@pytest.mark.parametrize("nested", [b"[", b'[{"00081140":{"vr":"SQ","Value":['])
def test_metadata_that_are_nested_without_end_make_no_header(nested) -> None:
    with pytest.raises(MalformedDataSetError):
        header_of(nested * 20_000, "1.2.3.4", lambda _uri: None)


def test_sequences_that_are_nested_too_deep_make_no_header() -> None:
    # Given
    opening, closing = '"00081140":{"vr":"SQ","Value":[{', "}]}"
    whole = json.dumps(attributes()).removesuffix("}")
    body = f"[{whole},{opening * 300}{closing * 300}}}]"

    # Then
    with pytest.raises(MalformedDataSetError):
        header_of(body.encode(), "1.2.3.4", lambda _uri: None)


def test_values_are_fetched_from_the_same_server_only() -> None:
    address = web_address("https://pacs.example/dicom-web")
    assert address.target_of("https://pacs.example/dicom-web/studies/1/bulk/2") == "/studies/1/bulk/2"
    for elsewhere in (
        "http://pacs.example/dicom-web/studies/1",
        "https://pacs.example/other",
        "https://pacs.example.evil/dicom-web/x",
        "https://pacs.example:444/dicom-web/x",
        "file:///etc/passwd",
        "/dicom-web/x",
    ):
        assert address.target_of(elsewhere) is None
