"""Identifiers of studies from the command line: given one by one, or in a file with one on each line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from shared.contract.identifier_lines import identifier_lines
from shared.errors import InvalidInputError

#: Stands for standard input in place of a file's name.
STANDARD_INPUT = "-"

#: Bytes of a file of identifiers: far more than the identifiers that one query takes.
MAX_FILE_BYTES = 1024 * 1024


def identifiers(field: str, given: Sequence[str], file: str | None) -> list[str]:
    """Return the identifiers of the options and of the file of one field of criteria.

    Raises:
        InvalidInputError: the file cannot be read, holds none, or a line is malformed; names the line.
    """
    if file is None:
        return list(given)
    try:
        found = identifier_lines(field, _text(file))
    except OSError as error:
        raise InvalidInputError(field, f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInputError(field, f"{_shown(file)} is no text in UTF-8") from None
    except _FileTooLargeError:
        raise InvalidInputError(field, f"{_shown(file)} is larger than {MAX_FILE_BYTES} bytes") from None
    if not found:
        raise InvalidInputError(field, f"{_shown(file)} holds none")
    return [*given, *found]


class _FileTooLargeError(Exception):
    """A file holds more than is read."""


def _text(name: str) -> str:
    """Return what a file holds; a mark of byte order, which some editors write, is no part of it."""
    if name == STANDARD_INPUT:
        return _bounded(sys.stdin.buffer).decode("utf-8-sig")
    with Path(name).open("rb") as file:
        return _bounded(file).decode("utf-8-sig")


def _bounded(file: BinaryIO) -> bytes:
    content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise _FileTooLargeError
    return content


def _shown(name: str) -> str:
    return "standard input" if name == STANDARD_INPUT else name
