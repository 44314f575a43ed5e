"""The tree of errors: the type shows whether another try can help."""

from __future__ import annotations


class DoseQRError(Exception):
    """Any error of ours; its text is safe to show: it holds no patient data."""


class RetriableError(DoseQRError):
    """Another try may help: something is away or busy."""


class PermanentError(DoseQRError):
    """Another try with the same input gives the same result."""


class InvalidInputError(PermanentError):
    """A value from outside is not acceptable; names the field.

    `field` is the dotted name of the field as the outside knows it, or "" for the input as a whole.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class NotFoundError(PermanentError):
    """What was named does not exist."""


class SettingsError(PermanentError):
    """A setting is missing or malformed; names it and the expected form."""


class SchemaUnknownError(PermanentError):
    """The database belongs to another version of DoseQR."""


class BrokerAwayError(RetriableError):
    """The broker cannot be reached or went away."""


class UnroutableError(RetriableError):
    """No queue takes this message: the topology is incomplete or no service has declared it yet."""


class DatabaseAwayError(RetriableError):
    """The database cannot be reached or went away."""


class DatabaseFullError(DatabaseAwayError):
    """The disk of the database is full: it takes no writes until there is space."""
