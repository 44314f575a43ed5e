"""Texts whose character set is declared rightly, wrongly, misspelt, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.query.character_sets import decoded, encodings_of


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("ISO_IR 100", "utf-8", "Köln Schädel"),
        ("ISO_IR 100", "latin-1", "Köln Schädel"),
        ("ISO_IR 192", "latin-1", "Hüfte"),
        ("", "utf-8", "Hüfte"),
        ("", "latin-1", "Hüfte"),
        ("ISO_IR 6", "utf-8", "Hüfte"),
        ("ISO_IR 6", "latin-1", "Hüfte"),
        ("ISO_IR 144", "utf-8", "Грудная клетка"),
        ("ISO_IR 144", "iso8859-5", "ГРУДНАЯ КЛЕТКА"),
        ("ISO_IR 100", "utf-8", "胸部"),
        ("GB18030", "gb18030", "联通"),
        ("GB18030", "utf-8", "胸部CT"),
        ("ISO_IR 13", "shift_jis", "ﾃｽﾄ"),
        ("ISO 2022 IR 100", "utf-8", "Köln"),
    ],
)
def test_a_text_is_read_whatever_set_is_declared(declared, encoding, text):
    assert decoded(text.encode(encoding), declared.encode()) == text


@pytest.mark.parametrize(
    ("spelt", "term"),
    [
        ("ISO IR 192", "ISO_IR 192"),
        ("ISO-IR 192", "ISO_IR 192"),
        ("ISO_IR192", "ISO_IR 192"),
        ("iso_ir 100", "ISO_IR 100"),
        ("ISO_IR_100", "ISO_IR 100"),
        ("ISO2022IR100", "ISO 2022 IR 100"),
        ("ISO_2022_IR_144", "ISO 2022 IR 144"),
        ("ISO 2022 IR 6", "ISO 2022 IR 6"),
        ("UTF-8", "ISO_IR 192"),
        ("utf8", "ISO_IR 192"),
    ],
)
def test_a_misspelt_character_set_is_the_one_that_is_meant(spelt, term):
    assert encodings_of(spelt.encode()) == encodings_of(term.encode())


def test_a_text_in_another_part_of_iso_8859_is_read_by_its_usual_name():
    assert decoded("Грудь".encode("iso8859-5"), b"ISO_8859-5") == "Грудь"


@given(value=st.binary(max_size=60), declared=st.binary(max_size=30))
def test_any_bytes_give_a_text_under_any_name(value, declared):
    assert isinstance(decoded(value, declared), str)
