"""The only place that reads the environment: every setting, typed, with its default and what it does."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.errors import InvalidInputError, SettingsError
from shared.identifiers import AeTitle
from shared.node_access.limits import parse_zone

PREFIX = "DOSEQR_"

#: Written by `make run` while its system runs, so that a `doseqr` beside it finds the same broker.
RUNNING_FILE = "running.json"


def _ae_title(value: str) -> str:
    try:
        return str(AeTitle.parse("DOSEQR_STORE_AE_TITLE", value))
    except InvalidInputError as error:
        raise ValueError(error.problem) from error


def _calling_ae_title(value: str) -> str:
    try:
        return str(AeTitle.parse("DOSEQR_STORE_CALLING_AE_TITLES", value))
    except InvalidInputError as error:
        raise ValueError(error.problem) from error


#: What urlsplit finds wrong with a URL may repeat a part of its password, so this stands in for it.
_NOT_ENCODED = (
    "must be a URL in which the user and the password are percent-encoded: / as %2F, # as %23, ? as %3F, "
    "@ as %40, : as %3A, [ as %5B, ] as %5D, % as %25"
)


def _split(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        ValueError: it has none, or an unencoded character of the password ends its host.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(_NOT_ENCODED) from None
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(_NOT_ENCODED)
    return parts


def _amqp_url(value: str) -> str:
    if _split(value).scheme not in ("amqp", "amqps", "memory"):
        raise ValueError("expected amqp://, amqps:// or memory://")
    return value


def _database_url(value: str) -> str:
    _, separator, rest = value.partition("://")
    # SQLAlchemy ends the password at the first @ and takes the rest of it for the host.
    if value and (not separator or (not value.startswith("sqlite") and rest.count("@") > 1)):
        raise ValueError(_NOT_ENCODED)
    return value


def _time_zone(value: str) -> str:
    parse_zone(value)
    return value


def _command(value: tuple[str, ...]) -> tuple[str, ...]:
    if value and (not value[0] or any("\0" in argument for argument in value)):
        raise ValueError("expected a JSON list: a program and its arguments")
    return value


def _importer_url(value: str) -> str:
    if value:
        parts = _split(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("expected http:// or https://, with a host")
        if not value.isascii() or any(character.isspace() or character < "!" for character in value):
            raise ValueError("expected an address without blanks, in ASCII")
    return value


def _data_dir() -> Path:
    """Return the default data folder: of the checkout that this code lies in, else of the user.

    It does not depend on the folder in which a command is run.
    """
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "var" / "doseqr"
    return Path.home() / ".local" / "share" / "doseqr"


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All settings of one installation; each is an environment variable with the prefix DOSEQR_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    amqp_url: Annotated[str, AfterValidator(_amqp_url)] = Field(
        "amqp://guest:guest@127.0.0.1:5672/",
        description="The broker: amqp://, amqps://, or memory:// for all services in one process.",
    )
    amqp_prefix: str = Field(
        "doseqr",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="How the names of exchanges and queues start; two installations can share a broker.",
    )
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        default_factory=_data_dir,
        description="The folder of received objects, the SQLite database and logs; the default lies in the "
        "checkout, or is ~/.local/share/doseqr without one.",
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "",
        description="SQLite or PostgreSQL (postgresql+psycopg://…); empty: SQLite in the data folder.",
    )
    store_ae_title: Annotated[str, AfterValidator(_ae_title)] = Field(
        "DOSEQR", description="AE title of DoseQR's own store, and the title it calls from by default."
    )
    store_host: str = Field("0.0.0.0", description="Address on which the store listens.")  # noqa: S104
    store_port: Port = Field(11112, description="Port on which the store listens.")
    store_address: str = Field(
        "127.0.0.1", description="Host under which other nodes and the other services reach the store."
    )
    store_processes: int = Field(
        1,
        ge=1,
        le=32,
        description="Processes that receive objects on the store's port; more than one only with PostgreSQL.",
    )
    store_calling_ae_titles: tuple[Annotated[str, AfterValidator(_calling_ae_title)], ...] = Field(
        (),
        max_length=1000,
        description="AE titles that may send to the store, as a JSON list; empty: all.",
    )
    store_associations: int = Field(
        200,
        ge=1,
        le=10_000,
        description="Associations with the store at once; more are rejected for the moment.",
    )
    store_object_bytes: int = Field(
        4 << 30, ge=1 << 20, description="Bytes of the largest object that the store takes."
    )
    store_reserve_bytes: int = Field(
        256 << 20,
        ge=0,
        description="Bytes that the store leaves free for everything else, at most a tenth of the disk.",
    )
    store_idle_timeout: float = Field(
        600.0,
        gt=0,
        le=86400,
        description="Seconds without a request after which the store ends an association.",
    )
    store_tls_cert: str = Field(
        "",
        description="File with the certificate chain of the store, in PEM; then it speaks TLS only.",
    )
    store_tls_key: str = Field("", description="File with the private key of that certificate, in PEM.")
    store_tls_client_ca: str = Field(
        "", description="File with the authorities, in PEM, of which a sender has to show a certificate."
    )
    health_host: str = Field(
        "127.0.0.1", description="Address on which services answer /health/live, /health/ready and /metrics."
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
        64, ge=4, le=1024, description="Requests that the web page answers at once; each open page holds one."
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
    dimse_timeout: float = Field(
        60.0, gt=0, le=3600, description="Seconds without an answer after which a peer has timed out."
    )
    connect_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds for a TCP connection and an association to be accepted."
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
        description="Seconds without an arrival after which objects that a PACS said it has sent are asked "
        "for again; more for a PACS that queues.",
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
    handover_command: Annotated[tuple[str, ...], AfterValidator(_command)] = Field(
        (),
        max_length=100,
        description="A program and its arguments, as a JSON list, that takes over what has arrived: the "
        "paths come on its standard input.",
    )
    handover_url: Annotated[str, AfterValidator(_importer_url)] = Field(
        "",
        description="An address (http:// or https://) to which what has arrived is posted as JSON; not "
        "beside a command.",
    )
    handover_timeout: float = Field(
        60.0, gt=0, le=86400, description="Seconds that one try to hand over a batch may take."
    )
    handover_pauses: tuple[float, ...] = Field(
        (10.0, 60.0, 300.0, 1800.0, 3600.0, 10800.0),
        max_length=50,
        description="Seconds before each new try to hand over a batch, as a JSON list; then it is given up.",
    )
    grace: float = Field(20.0, ge=0, le=600, description="Seconds that SIGTERM leaves to work in hand.")
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "",
        description='Time zone of the site (IANA name, such as "Europe/Berlin"), whose date is today; empty: '
        "the machine's.",
    )
    log_level: str = Field(
        "INFO",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$",
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in effect."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'doseqr.sqlite'}"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the database in effect; None for a database on a server."""
        if not self.database.startswith("sqlite"):
            return None
        path = urlsplit(self.database).path[1:]
        return Path(path) if path else None

    def day_of(self, moment: datetime) -> date:
        """Return the date of a moment at the site."""
        return moment.astimezone(parse_zone(self.time_zone)).date()

    @property
    def objects_dir(self) -> Path:
        """Where received objects lie."""
        return self.data_dir / "objects"

    @property
    def handover_enabled(self) -> bool:
        """Whether what arrives is handed over to an importer."""
        return bool(self.handover_command or self.handover_url)

    @property
    def bridge_socket(self) -> Path:
        """The Unix socket through which other processes reach an embedded broker."""
        return self.data_dir / "broker.sock"

    @property
    def embedded(self) -> bool:
        """Whether all services run in one process over the in-memory broker."""
        return self.amqp_url.startswith("memory:")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment only: no dotenv file, no secrets folder."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings


def load() -> Settings:
    """Read the settings: environment first, then the system that runs in the data folder, then defaults.

    Raises:
        SettingsError: variables are malformed; the message names each of them, never its value.
    """
    from_environment = _validated({})
    running = read_running(from_environment.data_dir)
    given = from_environment.model_fields_set
    return _validated({name: value for name, value in running.items() if name not in given})


def _validated(values: Mapping[str, object]) -> Settings:
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = {
            PREFIX + str(problem["loc"][0]).upper(): problem["msg"]
            for problem in error.errors(include_input=False, include_url=False)
        }
        raise SettingsError("; ".join(f"{name}: {text}" for name, text in problems.items())) from None


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
    """Return where each setting came from: environment, running system or default."""
    environment = _validated({}).model_fields_set
    given = settings.model_fields_set
    return {
        name: "environment" if name in environment else "running system" if name in given else "default"
        for name in Settings.model_fields
    }


def unknown_variables() -> list[str]:
    """Return the variables of the environment that begin like ours and are no setting, by name."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_") and name.upper() not in known
    )
