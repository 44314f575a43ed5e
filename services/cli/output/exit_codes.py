"""Exit codes of every command (spec section 9), and which error ends in which."""

from __future__ import annotations

from shared.contract.reasons import Reason
from shared.errors import (
    BrokerAwayError,
    DatabaseAwayError,
    DatabaseFullError,
    DoseQRError,
    InvalidInputError,
    NotFoundError,
    SchemaUnknownError,
    SettingsError,
    UnroutableError,
)

OK = 0
INCOMPLETE = 1
USAGE = 2
UNREACHABLE = 3
AWAY = 4
FAILED = 5
CANCELLED = 130

#: Failures of jobs that mean that a node cannot be reached or refused.
_UNREACHABLE_FAILURES = frozenset(
    {
        Reason.HOST_NOT_FOUND,
        Reason.REMOTE_UNREACHABLE,
        Reason.STORE_UNREACHABLE,
        Reason.TIMED_OUT,
        Reason.ABORTED,
        Reason.CONNECTION_LOST,
        Reason.ASSOCIATION_REJECTED,
        Reason.NODE_BUSY,
        Reason.CONTEXT_NOT_ACCEPTED,
        Reason.MOVE_DESTINATION_UNKNOWN,
    }
)


#: What to do about something that is away.
_AWAY: dict[type[DoseQRError], str] = {
    BrokerAwayError: "The broker is away: {}. Is the system running? Start it with `make run` or "
    "`doseqr serve all`, or check DOSEQR_AMQP_URL.",
    UnroutableError: "No service listens: {}. Start them with: doseqr serve all",
    DatabaseFullError: "The disk of the database is full: {}. Free some space there; the services go on by "
    "themselves.",
    DatabaseAwayError: "The database is away: {}. Check DOSEQR_DATABASE_URL and DOSEQR_DATA_DIR.",
}


class CommandError(DoseQRError):
    """A command ends here: with this exit code, this sentence, and `details` for programs."""

    def __init__(self, exit_code: int, code: str, sentence: str, **details: object) -> None:
        """Make an error; `code` stands in the JSON for programs."""
        super().__init__(sentence)
        self.exit_code = exit_code
        self.code = code
        self.details = details


def usage(sentence: str, field: str = "") -> CommandError:
    """Return the error of a wrong usage."""
    return CommandError(USAGE, "wrong_usage", sentence, field=field, problem=sentence)


def away(sentence: str) -> CommandError:
    """Return the error of a broker, database or worker that is away."""
    return CommandError(AWAY, "away", sentence, detail=sentence)


def unreachable(code: str, node: str, outcome: str, detail: str) -> CommandError:
    """Return the error of a node that cannot be used; `code` is remote_unreachable or store_unreachable."""
    sentence = f"{node} cannot be used: {outcome}" + (f" ({detail})" if detail else "")
    return CommandError(UNREACHABLE, code, sentence, node=node, outcome=outcome, detail=detail)


def as_command_error(error: DoseQRError) -> CommandError:
    """Return how a command ends with this error."""
    if isinstance(error, CommandError):
        return error
    text = str(error)
    if isinstance(error, InvalidInputError):
        return CommandError(USAGE, "wrong_usage", text, field=error.field, problem=error.problem)
    for kind, advice in _AWAY.items():
        if isinstance(error, kind):
            return away(advice.format(text))
    if isinstance(error, SchemaUnknownError):
        return away(text)
    if isinstance(error, NotFoundError | SettingsError):
        return usage(text)
    return CommandError(FAILED, "failed", text, detail=text)


def of_job(status: str, failure: str = "") -> int:
    """Return the exit code for a job that ended so."""
    if status == "failed":
        if failure == Reason.NO_WORKER:
            return AWAY
        return UNREACHABLE if failure in _UNREACHABLE_FAILURES else FAILED
    return {"completed": OK, "incomplete": INCOMPLETE, "cancelled": CANCELLED}.get(status, FAILED)
