"""The catalogue as it should be: every text once, in the order of its English."""

from __future__ import annotations

from io import BytesIO

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from services.web.catalogue import BORROWED, TRANSLATIONS, path_of
from tests.support.messages.borrowed import borrowed_texts
from tests.support.messages.pages import InContext, page_texts

TEMPLATE = TRANSLATIONS / "doseqr.pot"


def extracted() -> Catalog:
    """Return all texts of the page."""
    catalogue = Catalog(
        project="DoseQR", version="1", header_comment="# Texts of the page; written by `make messages`."
    )
    shared = borrowed_texts()
    for text in page_texts():
        if isinstance(text, InContext):
            catalogue.add(text.text, context=text.context)
        else:
            catalogue.add(text)
    for text in sorted(shared):
        catalogue.add(text, auto_comments=[BORROWED])
    return catalogue


def as_template(catalogue: Catalog) -> bytes:
    """Return a catalogue as a file without dates and places, which change without a text changing."""
    return _as_file(catalogue)


def merged(language: str, template: Catalog) -> bytes:
    """Return the file of a language with the texts of the template: new ones are empty, lost ones go."""
    path = path_of(language)
    known = (
        read_po(BytesIO(path.read_bytes()), locale=language) if path.exists() else Catalog(locale=language)
    )
    known.update(template, no_fuzzy_matching=True)
    known.obsolete.clear()
    known.project, known.version, known.fuzzy = "DoseQR", "1", False
    known.header_comment = f"# Texts of the page in the language {language}."
    return _as_file(known)


def _as_file(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_po(
        buffer,
        catalogue,
        width=110,
        no_location=True,
        sort_output=True,
        omit_header=False,
        ignore_obsolete=True,
    )
    dates = (
        b'"POT-Creation-Date',
        b'"PO-Revision-Date',
        b'"Generated-By',
        b'"Last-Translator',
        b'"Report-Msgid',
    )
    lines = (line for line in buffer.getvalue().split(b"\n") if not line.startswith(dates))
    return b"\n".join(lines)
