"""Settings of notifications: to what they may go, and how patiently they are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.configuration.connections import ConnectionSettings
from shared.configuration.values import valid_importer_url, valid_session_key
from shared.errors import InvalidInputError
from shared.notifications.transport.address import KNOWN_SCHEMES, AddressPolicy, parse_address

#: By what notifications may go unless an administrator chose otherwise.
SCHEMES_DEFAULT = ("mailto", "mailtos", "slack", "workflows", "mmost", "mmosts", "matrixs", "json", "jsons")


def _valid_scheme(value: str) -> str:
    if value not in KNOWN_SCHEMES:
        raise ValueError(f"{value!r} is none of {', '.join(sorted(KNOWN_SCHEMES))}")
    return value


def _valid_mail_url(value: str) -> str:
    if value:
        try:
            parse_address(value, AddressPolicy(frozenset({"mailto", "mailtos"})))
        except InvalidInputError as error:
            raise ValueError(error.problem) from error
    return value


class NotificationSettings(ConnectionSettings):
    """Where the page is reached, and everything of notifications."""

    public_url: Annotated[str, AfterValidator(valid_importer_url)] = Field(
        "",
        description="Address at which people reach the page, such as https://doseqr.example.org, for links "
        "in notifications; empty: without links.",
    )
    notification_key: Annotated[str, AfterValidator(valid_session_key)] = Field(
        "",
        description="Key with which addresses of notifications are encrypted, at least 64 characters; empty: "
        "that of the sessions.",
        repr=False,
    )
    notification_schemes: tuple[Annotated[str, AfterValidator(_valid_scheme)], ...] = Field(
        SCHEMES_DEFAULT,
        max_length=len(KNOWN_SCHEMES),
        description="By what notifications may go, as a JSON list: how addresses may begin.",
    )
    notification_hosts: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Host names to which notifications may go, as a JSON list; a name that begins with a dot "
        "means its subdomains; empty: any.",
    )
    notification_local_hosts: bool = Field(
        False,
        description="Let notifications go to this machine itself (127.0.0.1, ::1), where a mail relay may "
        "listen.",
    )
    notification_mail_url: Annotated[str, AfterValidator(_valid_mail_url)] = Field(
        "",
        description="Mail server for addresses that are plain e-mail addresses, such as "
        "mailtos://user:password@mail.example.org?from=doseqr@example.org; empty: they are refused.",
        repr=False,
    )
    notification_timeout: float = Field(
        30.0, gt=0, le=600, description="Seconds that one attempt to send a notification may take."
    )
    notification_pauses: tuple[float, ...] = Field(
        (60.0, 300.0, 1800.0, 7200.0, 21600.0),
        max_length=20,
        description="Seconds before each new attempt to send a notification, as a JSON list; then it is "
        "given up.",
    )
    notification_quiet_time: float = Field(
        7200.0,
        ge=0,
        le=604800,
        description="Seconds in which what fails again is flapping, and after which it is steady.",
    )
    store_low_bytes: int = Field(
        5 << 30, ge=0, description="Bytes free below which the store is nearly full; 0: never."
    )

    @property
    def address_policy(self) -> AddressPolicy:
        """To what notifications may go."""
        return AddressPolicy(
            frozenset(self.notification_schemes),
            self.notification_hosts,
            self.notification_local_hosts,
            self.notification_mail_url,
        )
