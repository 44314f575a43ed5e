"""The conformance folder: what was released stays valid, what is invalid is refused, by code and checkers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import jsonschema
import pytest

from tests.golden.conformance import FOLDER, ROOT, is_taken

FILES = sorted(FOLDER.glob("*.json"))
CHECKER = ROOT / "conformance" / "check.py"
NODE_CHECKER = ROOT / "conformance" / "check.mjs"
#: Every version of a message that was ever released: add, never remove.
COMMANDS = """
    again.v1 cancel.v1 echo.v1 handover.retry.v1 node.pause.v1 node.resume.v1 objects.register.v1
    pause.v1 profile.v1 query.v1 raise.v1 result.v1 resume.v1 retrieve.v1 status.v1
    worker.drain.v1 worker.log.v1 worker.ping.v1 worker.resume.v1
"""
EVENTS = """
    accepted.v1 cancelled.v1 completed.v1 echo.completed.v1 failed.v1 handover.retried.v1
    incomplete.v1 job.result.v1 job.status.v1 node.paused.v1 node.profiled.v1 node.resumed.v1
    node.status.v1 objects.registered.v1 objects.stored.v1 paused.v1 progress.v1 raised.v1
    rejected.v1 resumed.v1 studies.v1 worker.heartbeat.v1 worker.status.v1
"""
RELEASED = {
    f"doseqr.{kind}.{name}"
    for kind, names in (("command", COMMANDS), ("event", EVENTS))
    for name in names.split()
}


def node() -> list[str]:
    """Return the command of the checker in Node; skips without it."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not (NODE_CHECKER.parent / "node_modules" / "ajv").exists():
        pytest.skip("`npm install` was not run in conformance/")
    return [found, str(NODE_CHECKER)]


@pytest.fixture(params=["python", "node"])
def checker(request: pytest.FixtureRequest) -> list[str]:
    return node() if request.param == "node" else [sys.executable, str(CHECKER)]


def run(command: list[str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments], input=given, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_released_messages_are_still_understood_and_wrong_ones_refused(path):
    # Given
    document = json.loads(path.read_text(encoding="utf-8"))
    fits = jsonschema.Draft202012Validator(document["schema"]).is_valid
    # When
    wrong = [name for name, message in document["valid"].items() if not fits(message)]
    wrong += [name for name, message in document["valid"].items() if not is_taken(message)]
    wrong += [name for name, message in document["invalid"].items() if fits(message)]
    if ".command." in document["type"]:
        wrong += [name for name, message in document["invalid"].items() if is_taken(message)]
    # Then
    assert wrong == []


def test_every_version_of_a_message_has_its_file():
    assert {path.stem for path in FILES} == RELEASED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_optional_field_has_an_example_with_it(path):
    # Given
    document = json.loads(path.read_text(encoding="utf-8"))
    data = document["schema"]["properties"]["data"]
    optional = set(data.get("properties", {})) - set(data.get("required", ()))
    # When
    shown = {name for message in document["valid"].values() for name in message.get("data", {})}
    # Then
    assert optional <= shown


def test_checkers_agree_with_all_examples(checker):
    # When
    checked = run(checker, "--examples")
    # Then
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(checked.stdout.splitlines()) == len(FILES)


def test_checkers_name_what_does_not_fit(checker, tmp_path):
    # Given
    printed = run(checker, "--print", "doseqr.command.query.v1").stdout
    whole = json.loads(printed.splitlines()[0])
    whole["data"]["remote"] = 0
    (tmp_path / "wrong.json").write_text(json.dumps(whole))
    lines = f"{printed}\nno JSON\n{json.dumps({'type': 'doseqr.command.query.v9'})}\n[1]\n"
    # When
    wrong, several = run(checker, str(tmp_path / "wrong.json")), run(checker, "--lines", "-", given=lines)
    # Then
    assert (wrong.returncode, several.returncode, run(checker).returncode) == (1, 1, 2)
    assert "wrong.json: does not fit" in wrong.stdout
    assert "data.remote: " in wrong.stdout
    for problem in (
        "it is no JSON",
        "doseqr.command.query.v9 is no type of message",
        "no object with a type",
    ):
        assert problem in several.stdout
    assert several.stdout.count(": fits ") == len(printed.splitlines())
