"""Every text of the page is in the catalogue, and every text of the catalogue on the page."""

from __future__ import annotations

import re

import pytest

from services.web.catalogue import TRANSLATED, path_of
from tests.support.messages.catalogue import TEMPLATE, as_template, extracted, merged
from tests.support.messages.pages import TEMPLATES

#: Names and notations that are the same in every language.
PLAIN = re.compile(
    r"DoseQR|C-ECHO|C-FIND|C-MOVE|C-GET|C-STORE|Study Root|SCP|\bms\b|UTC|CSV|JSON|ZIP|UID|CT|SR|QR"
    r"|Authorization: Bearer|doseqr (show|users|retention) [\w-]*|DOSEQR_\w+|--\w+"
)

_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>", re.DOTALL)
_SHOWN = re.compile(r"\b(?:aria-label|title|placeholder|alt|data-label)=\"([^\"]*)\"")


def test_the_template_holds_what_is_extracted():
    # When
    written = as_template(extracted())

    # Then
    assert TEMPLATE.read_bytes() == written, "run `make messages`"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_language_holds_the_texts_of_the_template(language):
    # When
    written = merged(language, extracted())

    # Then
    assert path_of(language).read_bytes() == written, "run `make messages`"


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.stem)
def test_a_template_has_no_text_outside_gettext(template):
    # When
    without_code = _JINJA.sub("", template.read_text(encoding="utf-8"))
    texts = [_MARKUP.sub("\n", without_code), *_SHOWN.findall(without_code)]
    bare = [line.strip() for text in texts for line in text.splitlines()]
    found = [line for line in bare if re.search(r"[^\W\d_]{2,}", PLAIN.sub("", line))]

    # Then
    assert found == []
