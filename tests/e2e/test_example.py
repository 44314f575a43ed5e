"""The example that docs/messages.md gives to other systems, run as it stands there."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tests.e2e.archive import FIRST, LAST, mixed_archive
from tests.support.processes.installation import ROOT

EXAMPLE = (sys.executable, str(ROOT / "docs" / "examples" / "follow_a_query.py"))
READ_A_RESULT = (sys.executable, str(ROOT / "docs" / "examples" / "read_a_result.py"))
DAYS = (str(FIRST), str(LAST))


def test_example_orders_a_query_and_follows_it_to_its_end(installation, serving, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(20))
    _, observer = serving("query")
    observer.add_pacs(pacs)
    # When
    done = installation.run([*EXAMPLE, "pacs", "doseqr", *DAYS]).wait()
    # Then
    assert done.code == 0, done.err
    first, *_, last = done.out.splitlines()
    assert first.split()[0] == "accepted"
    assert last.split()[0] == "completed"
    (job,) = installation.doseqr("jobs", "--json").json
    counts = installation.doseqr("show", job["id"], "--json").json["counts"]
    printed = json.loads(last.partition(" ")[2])
    assert (printed["found"], printed["kept"]) == (counts["found"], counts["kept"]) == (18, 18)
    # When
    read = installation.run([*READ_A_RESULT, job["id"]]).wait()
    # Then
    assert read.code == 0, read.err
    assert [line.split()[0] for line in read.out.splitlines()] == ["status", *["studies"] * 18]
    assert installation.run([*READ_A_RESULT, "nothing"]).wait().code == 1


def test_example_prints_why_a_query_is_refused(installation, serving):
    # Given
    serving("query")
    # When
    done = installation.run([*EXAMPLE, "nobody", "doseqr", *DAYS]).wait()
    # Then
    assert done.code == 1
    assert done.out.startswith("rejected ")
    assert "nobody" in done.out


CLIENT = ROOT / "conformance" / "client.py"
NODE_CLIENT = ROOT / "conformance" / "client.mjs"


def client(language: str) -> list[str]:
    """Return the command of a client; skips without what it needs."""
    if language == "python":
        return [sys.executable, str(CLIENT)]
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not (NODE_CLIENT.parent / "node_modules" / "amqplib").exists():
        pytest.skip("`npm install` was not run in conformance/")
    return [found, str(NODE_CLIENT)]


@pytest.mark.parametrize("language", ["python", "node"])
def test_clients_go_the_whole_way_by_message_alone(installation, serving, scripted_pacs, language):
    # Given
    command = client(language)
    pacs = scripted_pacs(mixed_archive(20))
    _, observer = serving("echo", "query", "retrieve", "store")
    observer.add_pacs(pacs)
    # When
    done = installation.run([*command, "pacs", "doseqr", *DAYS]).wait()
    # Then
    assert done.code == 0, done.out + done.err
    lines = done.out.splitlines()
    assert "node pacs answers" in lines
    assert "result studies 18" in lines
    assert f"result objects {len(observer.files())}" in lines
    assert [line.split()[0] for line in lines].count("completed") == 2
    # When
    refused = installation.run([*command, "nobody", "doseqr", *DAYS]).wait()
    # Then
    assert refused.code == 1
    assert "rejected: data.nodes.0: " in refused.err
