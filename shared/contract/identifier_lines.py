"""Identifiers of studies written one on each line, as people keep them in files. Pure.

Blank lines and lines that begin with `#` are ignored; an error names the number of its line.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.contract.criteria import parse_criteria
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.errors import InvalidInputError

_COMMENT = "#"


def identifier_lines(field: str, text: str) -> list[str]:
    """Return the identifiers of a text for `field`, one of `criteria.IDENTIFIERS`.

    Raises:
        InvalidInputError: a line is malformed, or there are too many; names the field and the line.
    """
    found: dict[str, None] = {}
    for number, identifier in _lines(text):
        if identifier in found:
            continue
        if len(found) == MAX_IDENTIFIERS:
            raise InvalidInputError(
                field, f"line {number}: at most {MAX_IDENTIFIERS} identifiers in one query"
            )
        try:
            # One by one: an error of a list names the place in the list, not the line.
            parse_criteria({"types": ["CT"], field: [identifier]})
        except InvalidInputError as error:
            raise InvalidInputError(field, f"line {number}: {error.problem}") from None
        found[identifier] = None
    return list(found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold an identifier, trimmed, with their numbers."""
    for number, line in enumerate(text.splitlines(), start=1):
        text = line.strip()
        if text and not text.startswith(_COMMENT):
            yield number, text
