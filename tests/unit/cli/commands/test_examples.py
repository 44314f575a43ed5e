"""Each command shows an example in its help, and the options of every example are those of the command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from services.cli.commands.jobs.qr import parser
from services.cli.main import app
from services.cli.output.exit_codes import USAGE

#: `doseqr qr` reads its flags itself.
OWN_FLAGS = {"qr"}
_EXAMPLES = re.compile(r"Examples?: (.*)", re.DOTALL)


def commands() -> Iterator[tuple[str, Any]]:
    def below(command: Any, path: list[str]) -> Iterator[tuple[str, Any]]:
        if isinstance(command, TyperGroup):
            for name, part in command.commands.items():
                if not part.hidden:
                    yield from below(part, [*path, name])
        else:
            yield " ".join(path), command

    yield from below(get_command(app), [])


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_a_command_shows_examples_that_it_takes(name: str):
    # Given
    command = ALL[name]
    found = _EXAMPLES.search(command.help or "")
    # When
    assert found, "its help shows no example"
    examples = [shlex.split(text) for text in found[1].split(";")]
    # Then
    for words in examples:
        start = ["doseqr", *name.split()]
        assert words[: len(start)] == start
        if name in OWN_FLAGS:
            continue
        given = words[len(start) :]
        given = given[: given.index(">")] if ">" in given else given
        context = Context(command, info_name=name)
        _, rest, _ = command.make_parser(context).parse_args(given)
        assert rest == []


#: These run until they are ended: what they do is in the log.
RUNNING = {"serve", "simulate"}


@pytest.mark.parametrize("name", sorted(set(ALL) - RUNNING))
def test_a_command_that_ends_prints_json_on_request(name: str):
    # Given
    flags = parser().format_help() if name in OWN_FLAGS else ""
    # When
    options = {text for option in ALL[name].params for text in option.opts}
    # Then
    assert "--json" in options or "--json" in flags


@pytest.mark.parametrize("name", ALL)
def test_help_of_a_command_names_no_type_of_a_tick(name: str):
    # When
    shown = ALL[name].get_help(Context(ALL[name], info_name=name))
    # Then
    assert "<bool>" not in shown
    assert "BOOLEAN" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ["register", ""],
        ["register", "reports", " "],
        ["secrets", ""],
        ["secrets", "made", "--postgres", ""],
        ["simulate", ""],
        ["simulate", "--log", ""],
        ["reconcile", "", "--node", "pacs"],
        ["support-bundle", "--output", ""],
        ["topology", "--passwords", ""],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_present_folder(words: list[str]):
    # Given: register "$FOLDER" where FOLDER is not set
    result = CliRunner().invoke(app, words)
    # Then
    assert result.exit_code == USAGE
    assert "the path is empty" in result.output
