"""Settings of DoseQR's own store and of what it hands over."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.configuration.connections import ConnectionSettings
from shared.configuration.values import (
    Port,
    valid_ae_title,
    valid_calling_ae_title,
    valid_command,
    valid_importer_url,
    valid_network,
)


class StoreSettings(ConnectionSettings):
    """Where the store listens, whom it admits, what it takes, and who gets it."""

    store_ae_title: Annotated[str, AfterValidator(valid_ae_title)] = Field(
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
    store_calling_ae_titles: tuple[Annotated[str, AfterValidator(valid_calling_ae_title)], ...] = Field(
        (),
        max_length=1000,
        description="AE titles that may send to the store, as a JSON list; empty: all.",
    )
    store_networks: tuple[Annotated[str, AfterValidator(valid_network)], ...] = Field(
        (),
        max_length=1000,
        description="IP addresses and networks that may connect to the store, as a JSON list; empty: all. "
        "This machine always may.",
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
    handover_command: Annotated[tuple[str, ...], AfterValidator(valid_command)] = Field(
        (),
        max_length=100,
        description="A program and its arguments, as a JSON list, that takes over what has arrived: the "
        "paths come on its standard input.",
    )
    handover_url: Annotated[str, AfterValidator(valid_importer_url)] = Field(
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

    handover_backlog: int = Field(
        100_000,
        ge=0,
        description="Objects that may wait for the importer before new moves into the own store wait; 0: any "
        "number.",
    )

    @property
    def handover_enabled(self) -> bool:
        """Whether what arrives is handed over to an importer."""
        return bool(self.handover_command or self.handover_url)
