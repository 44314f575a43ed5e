"""Settings of what all services connect to and share: broker, data folder, database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from shared.broker.tls_files import TlsFiles
from shared.configuration.values import valid_amqp_url, valid_database_url, with_login


def _data_dir() -> Path:
    """Return the default data folder: of the checkout that this code lies in, else of the user.

    It does not depend on the folder in which a command is run.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "var" / "doseqr"
    return Path.home() / ".local" / "share" / "doseqr"


class ConnectionSettings(BaseSettings):
    """Where broker, data and database are, and how to log in."""

    amqp_url: Annotated[str, AfterValidator(valid_amqp_url)] = Field(
        "amqp://guest:guest@127.0.0.1:5672/",
        description="The broker: amqp://, amqps://, or memory:// for all services in one process; several "
        "hosts of a cluster are separated by commas.",
        repr=False,
    )
    amqp_user: str = Field("", description="User at the broker; empty: the one in the URL.")
    amqp_password: str = Field(
        "", description="Password at the broker, as it is; empty: the one in the URL.", repr=False
    )
    amqp_prefix: str = Field(
        "doseqr",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="How the names of exchanges and queues start; two installations can share a broker.",
    )
    amqp_tls_ca: str = Field(
        "",
        description="File with the authorities, in PEM, that amqps:// trusts; empty: those of the system.",
    )
    amqp_tls_cert: str = Field(
        "", description="File with the certificate chain, in PEM, that is shown to a broker at amqps://."
    )
    amqp_tls_key: str = Field("", description="File with the private key of that certificate, in PEM.")
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        default_factory=_data_dir,
        description="The folder of received objects, the SQLite database and logs; the default lies in the "
        "checkout, or is ~/.local/share/doseqr without one.",
    )
    tls_dir: str = Field(
        "", description="Folder of the certificates and keys for TLS to nodes; empty: tls in the data folder."
    )
    secrets_dir: str = Field(
        "",
        description="Folder of the files with passwords, tokens and client secrets for nodes that speak"
        " DICOMweb; empty: secrets in the data folder.",
    )
    database_url: Annotated[str, AfterValidator(valid_database_url)] = Field(
        "",
        description="SQLite or PostgreSQL (postgresql+psycopg://…); empty: SQLite in the data folder.",
        repr=False,
    )
    database_user: str = Field("", description="User at the database; empty: the one in the URL.")
    database_password: str = Field(
        "", description="Password at the database, as it is; empty: the one in the URL.", repr=False
    )

    @property
    def broker_url(self) -> str:
        """The URL of the broker in effect, with its login."""
        if self.embedded:
            return self.amqp_url
        return with_login(self.amqp_url, self.amqp_user, self.amqp_password)

    @property
    def broker_tls(self) -> TlsFiles:
        """The files for amqps://."""
        return TlsFiles(self.amqp_tls_ca, self.amqp_tls_cert, self.amqp_tls_key)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in effect, with its login."""
        url = self.database_url or f"sqlite:///{self.data_dir.absolute() / 'doseqr.sqlite'}"
        if url.startswith("sqlite"):
            return url
        return with_login(url, self.database_user, self.database_password)

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the database in effect; None for a database on a server."""
        if not self.database.startswith("sqlite"):
            return None
        path = urlsplit(self.database).path[1:]
        return Path(path) if path else None

    @property
    def bridge_socket(self) -> Path:
        """The Unix socket through which other processes reach an embedded broker."""
        return self.data_dir / "broker.sock"

    @property
    def embedded(self) -> bool:
        """Whether all services run in one process over the in-memory broker."""
        return self.amqp_url.startswith("memory:")
