"""`doseqr settings`: every setting, its value, where it came from and what it does."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from services.cli.client.session import settings_of_command
from services.cli.output.console import JsonOption, notice, print_json, table

if TYPE_CHECKING:
    from shared.settings import Settings

#: Parameters of URLs that hold no secret; the values of all others are not shown.
_SHOWN_PARAMETERS = frozenset(
    {
        "application_name",
        "channel_max",
        "client_encoding",
        "connect_timeout",
        "connection_attempts",
        "heartbeat",
        "host",
        "port",
        "retry_delay",
        "socket_timeout",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
_NOT_SHOWN = "***"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One line of `doseqr settings`."""

    name: str
    value: str
    source: str
    description: str


def settings(as_json: JsonOption = False) -> None:
    """Print each setting, its value, where it came from and what it does.

    Examples: doseqr settings; doseqr settings --json
    """
    from shared.settings import unknown_variables

    listed = rows(settings_of_command())
    for name in unknown_variables():
        notice(f"{name} is no setting of DoseQR.")
    if as_json:
        print_json([asdict(row) for row in listed])
        return
    table(
        ("name", "value", "source", "description"),
        [(row.name, row.value, row.source, row.description) for row in listed],
    )


def rows(values: Settings) -> list[SettingRow]:
    """Return every setting with its value (no secret), where it came from, and what it does."""
    from shared.settings import PREFIX, Settings, sources

    source = sources(values)
    return [
        SettingRow(
            name=PREFIX + name.upper(),
            value=_shown(name, getattr(values, name)),
            source=source[name],
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(name: str, value: object) -> str:
    """Return a value in the form that the variable takes, without what may be secret in it."""
    from shared.settings import SECRETS

    if name in SECRETS:
        return _NOT_SHOWN if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        # Any argument of a program may be a secret; its path is none.
        shown = [*value[:1], *(_NOT_SHOWN for _ in value[1:])] if name == "handover_command" else list(value)
        return json.dumps(shown)
    text = str(value)
    return without_secrets(text) if "://" in text else text


def without_secrets(url: str) -> str:
    """Return the URL with `***` for password, fragment, and parameters that may be secret."""
    try:
        parts = urlsplit(url)
        has_user, password = "@" in parts.netloc, parts.password
    except ValueError:
        return _NOT_SHOWN
    if "@" in parts.path + parts.query + parts.fragment:
        # An unencoded / ? or # in a password ends the host: nothing of the rest can be trusted.
        return f"{parts.scheme}://{_NOT_SHOWN}"
    netloc = parts.netloc
    if has_user:
        # A name without a password may be a token.
        user = f"{parts.username}:" if parts.username and password else ""
        netloc = f"{user}{_NOT_SHOWN}@{netloc.rpartition('@')[2]}"
    query = "&".join(_shown_parameter(parameter) for parameter in parts.query.split("&") if parameter)
    fragment = _NOT_SHOWN if parts.fragment else ""
    return urlunsplit(parts._replace(netloc=netloc, query=query, fragment=fragment))


def _shown_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if not equals:
        return _NOT_SHOWN
    return parameter if name.lower() in _SHOWN_PARAMETERS else f"{name}={_NOT_SHOWN}"
