"""What a process loads before it does anything: each library costs every start its time and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.database.migrate import migrate
from shared.database.session import Database

#: What only commands and services need that use it.
HEAVY = (
    "alembic",
    "argon2",
    "asyncio",
    "authlib",
    "cryptography",
    "flask",
    "http.client",
    "opentelemetry",
    "pika",
    "pydicom",
    "pynetdicom",
    "pyotp",
    "requests",
    "segno",
    "shared.contract.messages",
    "shared.settings",
    "sqlalchemy",
    "structlog",
)

#: Runs a `doseqr` command for each list of arguments, and prints what is loaded then as the last line.
COMMANDS = """
import contextlib, io, json, sys
from services.cli.main import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(arguments)
    assert code == 0 and output.getvalue(), arguments
print(json.dumps(sorted(sys.modules)))
"""

#: Imports a module and prints what is loaded then.
IMPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""

#: Has the shell's next word completed, then prints what is loaded.
COMPLETION = """
import json, sys
from services.cli.main import main
sys.argv[:] = ["doseqr"]
main()
print(json.dumps(sorted(sys.modules)))
"""

#: The same, then prints its CPU time in seconds.
COMPLETION_TIME = COMPLETION.replace("json.dumps(sorted(sys.modules))", "sum(__import__('os').times()[:2])")
#: Goal of a completion in seconds of CPU; the least of some runs, since others use the machine as well.
COMPLETION_S, COMPLETION_RUNS = 0.3, 5


def heavy_modules(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the heavy modules that a Python process has loaded when it ends."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    return [name for name in HEAVY if name in loaded]


def help_of_every_command() -> list[list[str]]:
    from typer.core import TyperGroup
    from typer.main import get_command

    from services.cli.main import app

    def names(command: object, path: list[str]) -> list[list[str]]:
        below = command.commands.items() if isinstance(command, TyperGroup) else ()
        return [path, *(found for name, part in below for found in names(part, [*path, name]))]

    return [[*path, "-h"] for path in names(get_command(app), [])]


def test_help_loads_nothing_that_only_a_running_command_needs():
    # Given
    commands = help_of_every_command()
    # When
    loaded = heavy_modules(COMMANDS, json.dumps(commands))
    # Then
    assert len(commands) > 30
    assert loaded == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("doseqr sche", ["schema", "schedules"]),
        ("doseqr schedules add --we", ["--weekdays"]),
        ("doseqr jobs --status inc", ["incomplete"]),
        ("doseqr users add ada --role im", ["importer"]),
    ],
)
def test_completion_offers_words_in_little_time(words: str, expected: list[str]):
    # Given
    environment = {
        **os.environ,
        "_DOSEQR_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    # When
    times_s = []
    for _ in range(COMPLETION_RUNS):
        completed = subprocess.run(
            [sys.executable, "-c", COMPLETION_TIME],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        *offered, cpu_s = completed.stdout.split()
        times_s.append(float(cpu_s))
        if times_s[-1] < COMPLETION_S:
            break
    # Then
    assert offered == expected
    assert min(times_s) < COMPLETION_S


def test_completion_loads_nothing_that_only_a_running_command_needs():
    # When
    words = {"_DOSEQR_COMPLETE": "complete_bash", "COMP_WORDS": "doseqr query --acc", "COMP_CWORD": "2"}
    loaded = heavy_modules(COMPLETION, environment=words)
    # Then
    assert loaded == []


def test_commands_that_read_load_only_what_reads_the_database(tmp_path: Path):
    # Given
    database = Database(f"sqlite:///{tmp_path / 'doseqr.sqlite'}")
    migrate(database)
    database.close()
    reading = [["nodes", "list"], ["jobs"], ["handover", "list"], ["tokens", "list", "--json"]]
    # When
    loaded = heavy_modules(COMMANDS, json.dumps(reading), environment={"DOSEQR_DATA_DIR": str(tmp_path)})
    # Then
    assert not {"alembic", "flask", "pika", "pydicom", "pynetdicom"} & set(loaded)


#: Libraries that a service needs only for some work, and those for data sets, which `query` reads.
LATER = {"alembic", "authlib", "cryptography", "opentelemetry", "pyotp", "segno"}
DATA_SETS = {"pydicom", "pynetdicom"}


@pytest.mark.parametrize("service", ["echo", "query", "store", "web"])
def test_a_service_loads_only_what_it_always_needs(service):
    # When
    loaded = set(heavy_modules(IMPORT, f"services.{service}.main"))
    # Then
    assert not LATER & loaded
    assert service == "query" or not DATA_SETS & loaded
    assert ("flask" in loaded) == ("argon2" in loaded) == (service == "web")
