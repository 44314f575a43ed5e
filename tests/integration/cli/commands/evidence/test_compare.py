"""`doseqr compare`: queries that are published and waited for, and an exit code for the result."""

from __future__ import annotations

import pytest

from shared.contract.messages import RunQuery
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script

COMPARE = ("compare", "--node", "pacs", "--type", "CT", "--from", "2024-05-01", "--until", "2024-05-01")


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [("completed", 0, "Nothing differs."), ("incomplete", 1, "A side is not complete")],
)
def test_the_exit_code_follows_the_result(
    doseqr: Doseqr, services: FakeServices, script: Script, status: str, code: int, text: str
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = script.query | {"status": status}
    # When
    result = doseqr(*COMPARE)
    # Then
    (command,) = [command for command in services.commands if isinstance(command, RunQuery)]
    assert (command.remote, command.criteria["ignore_known"]) == (2, True)
    assert (result.code, text in result.out) == (code, True), result


def test_without_workers_nothing_is_begun(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    services.stop_service("query")
    # Then
    assert doseqr(*COMPARE, "--json").code == 4


def test_wrong_options_are_named(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # Then
    assert doseqr(*COMPARE, "--with", "pacs").code == 2
    assert "other" in doseqr(*COMPARE, "--with", "pacs").err
