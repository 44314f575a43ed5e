"""What the documents name exists: settings, files, commands, targets of make."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from services.cli.commands.jobs.qr import parser as qr_parser
from services.cli.main import app
from shared.configuration.environment import FILE_SUFFIX
from shared.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OPERATIONS = ROOT / "docs" / "operations.md"

_FENCE = re.compile(r"^\s*```[^\n]*\n(.*?)^\s*```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b")
_PATH = re.compile(r"^(?:services|shared|simulator|tests|docs|deploy|requirements|\.ci)(?:/[\w.-]+)*/?$")
_SYMPTOM_ROW = re.compile(r"^\| (.+) \| `([\w/.]+\.py)` \|$", re.MULTILINE)
_SETTING_ROW = re.compile(r"^\| `(DOSEQR_\w+)` \| (?:`(.*?)`|(empty)) \| (.*) \|$", re.MULTILINE)


def documents() -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS]


@pytest.mark.parametrize("path", documents())
def test_links_lead_somewhere(path: Path) -> None:
    # Given
    links = [link for link in _LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]

    # When
    dead = [link for link in links if not _leads_somewhere(path, link)]

    # Then
    assert not dead


@pytest.mark.parametrize("path", documents())
def test_named_commands_exist_with_their_options(path: Path) -> None:
    # Given
    commands = [line for code in code_of(path) for line in doseqr_lines(code)]

    # When
    wrong = [line for line in commands if not _is_command(line.split())]

    # Then
    assert not wrong


@pytest.mark.parametrize("path", documents())
def test_named_targets_of_make_exist(path: Path) -> None:
    # Given
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    # When
    named = {word for code in code_of(path) for word in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)}

    # Then
    assert named <= targets


@pytest.mark.parametrize("path", documents())
def test_named_variables_are_settings(path: Path) -> None:
    # Given
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    settings |= {name + FILE_SUFFIX for name in settings}

    # When
    named = set(_VARIABLE.findall(path.read_text(encoding="utf-8")))

    # Then
    assert named <= settings


@pytest.mark.parametrize("path", documents())
def test_named_files_and_folders_exist(path: Path) -> None:
    # Given
    named = {span for span in _SPAN.findall(path.read_text(encoding="utf-8")) if _PATH.match(span)}

    # When
    missing = {name for name in named if "/" in name and not (ROOT / name).exists()}

    # Then
    assert missing == set()


def test_twenty_symptoms_lead_to_files_that_exist() -> None:
    # Given
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")

    # When
    rows = _SYMPTOM_ROW.findall(page.partition("## Where do I look when")[2])

    # Then
    assert len(rows) >= 20
    assert [file for _symptom, file in rows if not (ROOT / file).is_file()] == []


def test_decisions_are_numbered_without_gaps() -> None:
    # Given
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    # Then
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [page.read_text(encoding="utf-8").split()[1] for page in pages] == [
        f"{number}." for number in range(1, len(pages) + 1)
    ]


def test_the_changelog_knows_the_version_of_the_package() -> None:
    # Given
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    # Then
    assert re.findall(r"^## \[(\d[\d.]*)\]", changelog, re.MULTILINE)[0] == project["version"]


def test_the_hooks_run_what_make_check_runs() -> None:
    # Given
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]

    # Then
    for tool in ("ruff format --check", "ruff check", "mypy"):
        assert f".venv/bin/{tool}" in hooks
        assert f"$(BIN)/{tool}" in check


def test_the_table_of_settings_is_that_of_the_code() -> None:
    # Given
    expected = [
        (PREFIX + name.upper(), _default(field.get_default(call_default_factory=True)), field.description)
        for name, field in Settings.model_fields.items()
    ]

    # When
    rows = _SETTING_ROW.findall(OPERATIONS.read_text(encoding="utf-8"))

    # Then
    assert [(name, value, what) for name, value, _, what in rows] == expected


def test_wrong_commands_are_noticed() -> None:
    # Given
    lines = ["doseqr qwery --ct", "doseqr query --cat", "doseqr nodes ad", "doseqr qr -xx 1 2", "doseqr"]

    # When
    found = [_is_command(line.split()) for line in lines]

    # Then
    assert found == [False, False, False, False, True]


def code_of(path: Path) -> Iterator[str]:
    """Return what stands as code in a document: fenced and indented blocks, and spans in the text."""
    text = path.read_text(encoding="utf-8")
    yield from _FENCE.findall(text)
    prose = _FENCE.sub("", text)
    yield from _INDENTED.findall(prose)
    yield from _SPAN.findall(prose)


def doseqr_lines(code: str) -> Iterator[str]:
    """Return the `doseqr` commands of some code, without what the shell adds."""
    for line in code.splitlines():
        found = re.search(r"(?:^|[\s/])(doseqr [a-z].*)$", line.partition("#")[0])
        is_command = re.match(r"^\s*(doseqr |docker compose exec |\d+ \d+ \* |ExecStart=)", line)
        if found and is_command:
            yield re.sub(r"\$\([^)]*\)", "VALUE", found[1]).split(" | ")[0]


def _leads_somewhere(path: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = path.parent / file if file else path
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in _HEADING.findall(text)}


@cache
def _doseqr() -> Any:
    return get_command(app)


def _is_command(words: list[str]) -> bool:
    command = _doseqr()
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        found = command.commands.get(rest[0])
        if found is None:
            return False
        command, rest = found, rest[1:]
    return {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= _options_of(command)


def _options_of(command: Any) -> set[str]:
    if command.name == "qr":
        return {option for action in qr_parser()._actions for option in action.option_strings}
    return {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}


def _default(value: object) -> str:
    if isinstance(value, Path):
        return value.relative_to(ROOT).as_posix()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
