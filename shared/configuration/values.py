"""What the values of settings may be: checks of single values, and the text on what is allowed."""

from __future__ import annotations

import json
import re
from ipaddress import ip_network
from typing import Annotated, get_args, get_origin
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field
from pydantic.fields import FieldInfo

from shared.errors import InvalidInputError
from shared.identifiers import AeTitle
from shared.node_access.limits import parse_zone

#: Characters of the shortest key of the page's sessions.
SESSION_KEY_LENGTH = 64

Port = Annotated[int, Field(ge=1, le=65535)]


def valid_ae_title(value: str) -> str:
    """Return an AE title as it is compared.

    Raises:
        ValueError: it is none.
    """
    try:
        return str(AeTitle.parse("DOSEQR_STORE_AE_TITLE", value))
    except InvalidInputError as error:
        raise ValueError(error.problem) from error


def valid_calling_ae_title(value: str) -> str:
    """Return an AE title of a list of them.

    Raises:
        ValueError: it is none.
    """
    try:
        return str(AeTitle.parse("DOSEQR_STORE_CALLING_AE_TITLES", value))
    except InvalidInputError as error:
        raise ValueError(error.problem) from error


def valid_network(value: str) -> str:
    """Return a network of a list of them, as 10.1.0.0/16 or 10.1.2.3.

    Raises:
        ValueError: it is none, or has host bits set.
    """
    try:
        return str(ip_network(value.strip()))
    except ValueError as error:
        raise ValueError(f"must be an IP address or a network, as 10.1.0.0/16: {error}") from None


#: What urlsplit finds wrong with a URL may repeat a part of its password, so this stands in for it.
NOT_ENCODED = (
    "must be a URL in which the user and the password are percent-encoded: / as %2F, # as %23, ? as %3F, "
    "@ as %40, : as %3A, [ as %5B, ] as %5D, % as %25"
)


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        ValueError: it has none, or an unencoded character of the password ends its host.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(NOT_ENCODED) from None
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(NOT_ENCODED)
    return parts


def valid_amqp_url(value: str) -> str:
    """Accept the URL of a broker; several hosts are separated by commas.

    Raises:
        ValueError: it is none.
    """
    for url in broker_urls(value):
        if split_url(url).scheme not in ("amqp", "amqps", "memory"):
            raise ValueError("expected amqp://, amqps:// or memory://")
    return value


def broker_urls(url: str) -> tuple[str, ...]:
    """Return one URL for each host of `amqp://user:password@host1:5672,host2:5672/vhost`.

    Raises:
        ValueError: it is no URL, or a host is missing.
    """
    # urlsplit of newer Pythons refuses an IPv6 address among other hosts.
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    login, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        split_url(url)
        return (url,)
    if not all(hosts.split(",")):
        raise ValueError("a host is missing before or after a comma")
    after = rest.removeprefix(authority)
    each_host = (f"{scheme}{separator}{login}{at}{host}{after}" for host in hosts.split(","))
    return tuple(urlunsplit(split_url(host_url)) for host_url in each_host)


def with_login(url: str, user: str, password: str) -> str:
    """Return the URL with this user and this password, percent-encoded; an empty one leaves what is there."""
    if not (user or password):
        return url
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    old_user, colon, old_password = login.partition(":")
    name = quote(user, safe="") if user else old_user
    secret = f":{quote(password, safe='')}" if password else colon + old_password
    return f"{scheme}{separator}{name}{secret}@{hosts}{slash}{path}"


def valid_database_url(value: str) -> str:
    """Accept the URL of a database.

    Raises:
        ValueError: it is none.
    """
    _, separator, rest = value.partition("://")
    # SQLAlchemy ends the password at the first @ and takes the rest of it for the host.
    if value and (not separator or (not value.startswith("sqlite") and rest.count("@") > 1)):
        raise ValueError(NOT_ENCODED)
    return value


def valid_session_key(value: str) -> str:
    """Accept a key that cannot be guessed.

    Raises:
        ValueError: it is too short.
    """
    if value and len(value) < SESSION_KEY_LENGTH:
        raise ValueError(f"has fewer than {SESSION_KEY_LENGTH} characters")
    return value


def valid_time_zone(value: str) -> str:
    """Accept the name of a time zone.

    Raises:
        ValueError: it is none.
    """
    parse_zone(value)
    return value


def valid_command(value: tuple[str, ...]) -> tuple[str, ...]:
    """Accept a program and its arguments.

    Raises:
        ValueError: it is none.
    """
    if value and (not value[0] or any("\0" in argument for argument in value)):
        raise ValueError("expected a JSON list: a program and its arguments")
    return value


def valid_importer_url(value: str) -> str:
    """Accept the address of an importer.

    Raises:
        ValueError: it is none.
    """
    if value:
        parts = split_url(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("expected http:// or https://, with a host")
        if not value.isascii() or any(character.isspace() or character < "!" for character in value):
            raise ValueError("expected an address without blanks, in ASCII")
    return value


def is_secure_url(value: str) -> bool:
    """Return whether an address is one of HTTPS, or of this machine."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def allowed(field: FieldInfo) -> str:
    """Return what a setting may hold, for people; nothing where its description has it."""
    kind = field.annotation
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        return " ".join([number, *_bounds(field)])
    if get_origin(kind) is tuple:
        example = field.get_default() or (("NAME",) if str in get_args(kind) else ())
        return f"a JSON list, such as {json.dumps(example)}"
    return ""


def _bounds(field: FieldInfo) -> list[str]:
    words = {Ge: "from", Gt: "above", Le: "to", Lt: "below"}
    names = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}
    return [
        f"{word} {getattr(bound, names[kind]):g}"
        for kind, word in words.items()
        for bound in field.metadata
        if isinstance(bound, kind)
    ]
