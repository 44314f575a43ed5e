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

from services.cli.main import app

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


def test_every_command_that_prints_has_json():
    # Given: these run until they are ended, write files, or make something that is shown once
    without = {"qr", "serve", "simulate", "secrets", "schema", "support-bundle"}
    changing = {name for name in ALL if name.startswith(("users ", "tokens revoke"))} - {"users list"}
    # When
    lacking = {
        name for name, command in ALL.items() if not any("--json" in option.opts for option in command.params)
    }
    # Then
    assert lacking <= without | changing
