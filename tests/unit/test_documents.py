"""What the documents say of commands, settings and files is so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from services.cli.main import app
from shared.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPERATIONS = ROOT / "docs" / "operations.md"

#: Read by the tests alone.
FOR_TESTS = f"{PREFIX}TEST_"

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4,}|\t).+$", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]+")

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@every_document
def test_relative_links_lead_somewhere(document: Path) -> None:
    # Given the links of a document
    links = _LINK.findall(document.read_text(encoding="utf-8"))

    # When those into this repository are looked for
    inside = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    lost = [link for link in inside if not (document.parent / link).exists()]

    # Then each is there
    assert lost == []


@every_document
def test_make_commands_are_in_the_makefile(document: Path) -> None:
    # Given what the Makefile can make
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    # When a document names something to make
    named = {name for line in _code(document) for name in re.findall(r"\bmake ([a-z][a-z-]*)", line)}

    # Then it can be made
    assert named - targets == set()


@every_document
def test_doseqr_commands_and_their_options_exist(document: Path) -> None:
    # Given the command line
    top = get_command(app)

    # When a document shows a command of it
    shown = [words.split() for line in _code(document) for words in re.findall(r"\bdoseqr ([a-z].*)", line)]

    # Then the command has that name, and the long options that are shown with it
    assert [problem for words in shown for problem in _problems(top, words)] == []


@every_document
def test_variables_are_settings(document: Path) -> None:
    # Given the settings
    known = {PREFIX + name.upper() for name in Settings.model_fields}

    # When a document names a variable of ours
    named = set(_VARIABLE.findall(document.read_text(encoding="utf-8")))

    # Then there is such a setting
    assert {name for name in named - known if not name.startswith(FOR_TESTS)} == set()


def test_table_of_settings_is_complete_and_true() -> None:
    # Given the table in the document for administrators
    text = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `({PREFIX}\w+)` \| (.*?) \| (.+) \|$", text, re.MULTILINE)

    # When it is compared with the settings
    expected = [
        (PREFIX + name.upper(), _shown(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]

    # Then it has each, in order, with its default and what it does
    assert rows == expected


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        text = json.dumps(list(default))
    elif isinstance(default, bool):
        text = str(default).lower()
    else:
        text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"`{text}`" if text else "empty"


def _code(document: Path) -> Iterator[str]:
    """Yield the lines and spans of code of a document."""
    text = document.read_text(encoding="utf-8")
    for block in _FENCE.findall(text):
        yield from block.splitlines()[1:-1]
    rest = _FENCE.sub("", text)
    yield from _INDENTED.findall(rest)
    for span in _INLINE.findall(_INDENTED.sub("", rest)):
        yield " ".join(span.split())


def _problems(command: Any, words: list[str]) -> Iterator[str]:
    name = "doseqr"
    while words and isinstance(command, TyperGroup):
        found = command.commands.get(words[0])
        if found is None:
            yield f"{name} has no command {words[0]}"
            return
        command, name, words = found, f"{name} {words[0]}", words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in known | {"--help"}:
            yield f"{name} has no option {word}"
