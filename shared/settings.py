"""The only place that reads the environment: every setting, typed, with its default and what it does."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, get_origin

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.configuration.environment import Given, read_variables, unknown_names
from shared.configuration.notifications import NotificationSettings
from shared.configuration.retention import RetentionSettings
from shared.configuration.sign_in import SignInSettings
from shared.configuration.store import StoreSettings
from shared.configuration.values import (
    Port,
    allowed,
    valid_session_key,
    valid_time_zone,
)
from shared.errors import SettingsError
from shared.node_access.limits import parse_zone

PREFIX = "DOSEQR_"

#: Written by `make run` while its system runs, so that a `doseqr` beside it finds the same broker.
RUNNING_FILE = "running.json"

#: Secrets; nothing shows their values.
SECRETS = frozenset(
    {
        *("amqp_password", "database_password", "session_key", "admin_password"),
        *("notification_key", "notification_mail_url", "oidc_client_secret"),
    }
)
#: A malformed one is not repeated: it may hold a secret, and nobody can know where in it.
NOT_REPEATED = SECRETS | {"amqp_url", "database_url", "handover_url", "handover_command"}
#: Characters of a malformed value that are repeated.
REPEATED_LENGTH = 80


class Settings(RetentionSettings, StoreSettings, NotificationSettings, SignInSettings):
    """All settings of one installation; each is an environment variable with the prefix DOSEQR_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    health_host: str = Field(
        "127.0.0.1", description="Address on which services serve /health/live, /health/ready and /metrics."
    )
    health_port: int = Field(
        0,
        ge=0,
        le=65530,
        description="Port of these for echo; query, retrieve, store and web take the next ones; 0: none.",
    )
    web_host: str = Field("127.0.0.1", description="Address on which the web page listens.")
    web_port: Port = Field(8000, description="Port of the web page.")
    web_threads: int = Field(
        64, ge=4, le=1024, description="Requests that the web page serves at once; open pages hold none."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies in front of the web page whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed; 0: none, the headers are ignored.",
    )
    trusted_hosts: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Host names under which the web page may be called, as a JSON list; a name that begins "
        "with a dot means its subdomains too; empty: any.",
    )
    secure_cookies: bool = Field(
        False, description="Send session cookies over HTTPS only; set it behind a TLS proxy."
    )
    session_key: Annotated[str, AfterValidator(valid_session_key)] = Field(
        "",
        description="Key that signs the sessions of the page, at least 64 characters; empty: one that is "
        "made in the data folder.",
        repr=False,
    )
    admin_password: str = Field(
        "",
        description="One-time password of the user admin at the first start; empty: one is made up and "
        "logged.",
        repr=False,
    )
    dimse_timeout: float = Field(
        60.0, gt=0, le=3600, description="Seconds without a response after which a peer has timed out."
    )
    connect_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds for a TCP connection and an association to be accepted."
    )
    fuse_failed_attempts: int = Field(
        30,
        ge=1,
        le=10_000,
        description="Associations that could not be established with a node, in a minute and by one process, "
        "after which nothing is sent to it for five minutes.",
    )
    fuse_attempts: int = Field(
        1500,
        ge=1,
        le=100_000,
        description="The same for all associations that were requested, established or not.",
    )
    query_workers: int = Field(
        4,
        ge=1,
        le=64,
        description="Tasks of one node that one query process works on at once.",
    )
    retrieve_workers: int = Field(
        4, ge=1, le=64, description="Tasks of one node that one retrieve process works on at once."
    )
    arrival_grace: float = Field(
        10.0,
        ge=0,
        le=86400,
        description="Seconds without an arrival after which objects that a PACS reported as sent are "
        "requested again; more for a PACS that queues.",
    )
    commitment_timeout: float = Field(
        300.0,
        gt=0,
        le=604800,
        description="Seconds that a store node has to report on a storage commitment; then the PACS's word "
        "stands.",
    )
    patience: float = Field(
        1200.0, ge=0, le=86400, description="Seconds for which a node that is away or busy is waited for."
    )
    retry_pauses: tuple[float, ...] = Field(
        (1.0, 4.0, 15.0),
        max_length=20,
        description="Seconds before each new try of what a node failed to do, as a JSON list.",
    )
    schedule_overlap: float = Field(
        3600.0,
        ge=0,
        le=604800,
        description="Seconds by which a run of a recurring query reaches back behind its watermark.",
    )
    settle_lag: float = Field(
        7200.0,
        ge=0,
        le=604800,
        description="Seconds before now at which a run ends: reports come hours after images.",
    )
    late_arrival_days: tuple[Annotated[int, Field(ge=1, le=366)], ...] = Field(
        (1, 7),
        max_length=10,
        description="Days after which a day is covered once more for what arrived late, as a JSON list; "
        "empty: never.",
    )
    grace: float = Field(20.0, ge=0, le=600, description="Seconds that SIGTERM leaves to work in hand.")
    time_zone: Annotated[str, AfterValidator(valid_time_zone)] = Field(
        "",
        description='Time zone of the site (IANA name, such as "Europe/Berlin"), whose date is today; empty: '
        "the machine's.",
    )
    coverage_last_studies: int = Field(
        5,
        ge=1,
        le=1000,
        description="Studies in a row without a dose report after which a station raises an alert.",
    )
    log_level: str = Field(
        "INFO",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )

    def day_of(self, moment: datetime) -> date:
        """Return the date of a moment at the site."""
        return moment.astimezone(parse_zone(self.time_zone)).date()

    @property
    def node_tls_dir(self) -> Path:
        """Where the certificates and keys for TLS to nodes lie."""
        return Path(self.tls_dir).absolute() if self.tls_dir else self.data_dir / "tls"

    @property
    def node_secrets_dir(self) -> Path:
        """Where the secrets for nodes that speak DICOMweb lie."""
        return Path(self.secrets_dir).absolute() if self.secrets_dir else self.data_dir / "secrets"

    @property
    def objects_dir(self) -> Path:
        """Where received objects lie."""
        return self.data_dir / "objects"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables, and files that they name; no dotenv file, no folder of secrets."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _Variables(settings_cls)


class _Variables(PydanticBaseSettingsSource):
    """What the environment gives; a list that is no JSON stays a text, which the field then refuses."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        raise NotImplementedError

    def __call__(self) -> dict[str, object]:
        given = _given()
        fields = Settings.model_fields
        return {name: _parsed(text, fields[name]) for name, text in given.values.items()}


def _parsed(text: str, field: FieldInfo) -> object:
    if get_origin(field.annotation) is not tuple:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _given() -> Given:
    return read_variables(os.environ, PREFIX, Settings.model_fields)


def load() -> Settings:
    """Read the settings: environment first, then the system that runs in the data folder, then defaults.

    Raises:
        SettingsError: variables are malformed; the message names each of them, with its value unless that
            may hold a secret, and what is allowed.
    """
    from_environment = _validated({})
    running = read_running(from_environment.data_dir)
    given = from_environment.model_fields_set
    return _validated({name: value for name, value in running.items() if name not in given})


def _validated(values: Mapping[str, object]) -> Settings:
    given = _given()
    problems = dict(given.problems)
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0])
            variable = given.variables.get(name, PREFIX + name.upper())
            problems.setdefault(variable, _refusal(name, problem["msg"], given.values.get(name)))
    if problems:
        raise SettingsError("; ".join(f"{variable}: {text}" for variable, text in sorted(problems.items())))
    return settings


def _refusal(name: str, problem: str, value: str | None) -> str:
    """Return what is wrong with a value and what is allowed; the value only if it can hold no secret."""
    problem = problem.removeprefix("Value error, ")
    expected = allowed(Settings.model_fields[name])
    text = f"{problem}; expected {expected}" if expected else problem
    if name in NOT_REPEATED or value is None:
        return text
    shown = value if len(value) <= REPEATED_LENGTH else value[:REPEATED_LENGTH] + "…"
    return f"{shown!r} is refused: {text}"


def running_file(data_dir: Path) -> Path:
    """Where a locally running system leaves the settings with which it can be reached."""
    return data_dir / RUNNING_FILE


def read_running(data_dir: Path) -> dict[str, object]:
    """Return the settings of the system that runs in this data folder; empty if there is none."""
    try:
        values = json.loads(running_file(data_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if name in Settings.model_fields}


def sources(settings: Settings) -> dict[str, str]:
    """Return where each setting came from: environment, file, running system or default."""
    variables = _given()
    given = settings.model_fields_set

    def source(name: str) -> str:
        if name in variables.values:
            return "file" if variables.from_file(name) else "environment"
        return "running system" if name in given else "default"

    return {name: source(name) for name in Settings.model_fields}


def spans_are_wanted() -> bool:
    """Return whether the variables of OpenTelemetry name a collector; its own library reads the rest."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off = is_off or os.environ.get("OTEL_TRACES_EXPORTER", "").lower() == "none"
    return not is_off and any(os.environ.get(name) for name in names)


def unknown_variables() -> list[str]:
    """Return the variables of the environment that begin like ours and are no setting, by name."""
    return unknown_names(os.environ, PREFIX, Settings.model_fields)
