"""Every error and every end of a job has its exit code."""

from __future__ import annotations

import pytest

from services.cli.output.exit_codes import as_command_error, of_job, unreachable
from shared.contract.messages import ENDED
from shared.contract.reasons import TEXTS, Kind
from shared.errors import (
    BrokerAwayError,
    DatabaseAwayError,
    DatabaseFullError,
    DoseQRError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    SchemaUnknownError,
    SettingsError,
    UnroutableError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("port", "must be a number"), 2),
        (NotFoundError("no such thing"), 2),
        (SettingsError("DOSEQR_X: malformed"), 2),
        (BrokerAwayError("refused"), 4),
        (UnroutableError("no queue"), 4),
        (DatabaseAwayError("locked"), 4),
        (DatabaseFullError("its disk is full"), 4),
        (SchemaUnknownError("the schema 9999"), 4),
        (PermanentError("anything else"), 5),
    ],
)
def test_each_error_has_its_exit_code(error: DoseQRError, code: int) -> None:
    # When
    ended = as_command_error(error)
    # Then
    assert ended.exit_code == code
    assert str(error) in str(ended)


def test_wrong_input_keeps_field_and_problem_for_programs() -> None:
    # When
    ended = as_command_error(InvalidInputError("port", "must be a number"))
    # Then
    assert (ended.code, ended.details) == ("wrong_usage", {"field": "port", "problem": "must be a number"})


def test_a_node_that_does_not_respond_is_reported_with_its_outcome() -> None:
    # When
    ended = unreachable("remote_unreachable", "pacs", "association rejected", "called AE title unknown")
    # Then
    assert ended.exit_code == 3
    assert str(ended) == "pacs cannot be used: association rejected (called AE title unknown)"
    assert as_command_error(ended) is ended


@pytest.mark.parametrize("status", sorted(ENDED))
def test_only_a_completed_job_ends_with_0(status: str) -> None:
    # When / Then
    assert (of_job(status) == 0) == (status == "completed")


def test_every_failure_has_an_exit_code_of_its_own_kind() -> None:
    # Given
    failures = [reason for reason, (kind, _) in TEXTS.items() if kind is Kind.FAILURE]
    # When
    codes = {of_job("failed", failure) for failure in failures}
    # Then
    assert codes == {3, 4, 5}
