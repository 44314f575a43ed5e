"""Addresses of notifications: an e-mail address, or a URL as the library apprise reads it.

An address holds passwords and tokens. What is shown of it names the service and its host at most.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from shared.errors import InvalidInputError

ADDRESS_MAX_LENGTH = 1000

#: Services to which an administrator can let notifications go: all by the network, none by a program, a file
#: or a bus of this machine.
KNOWN_SCHEMES = frozenset(
    {
        *("mailto", "mailtos", "json", "jsons", "slack", "workflows", "mmost", "mmosts", "matrix", "matrixs"),
        *("rocket", "rockets", "zulip", "discord", "gchat", "webex", "tgram", "ntfy", "ntfys"),
        *("gotify", "gotifys", "nctalk", "nctalks", "pagerduty", "opsgenie", "signal", "signals", "pover"),
    }
)

#: Schemes that name their server in the address; those of the others are of the service alone.
_WITH_HOST = frozenset(
    {
        *("mailto", "mailtos", "json", "jsons", "mmost", "mmosts", "matrix", "matrixs", "rocket", "rockets"),
        *("ntfy", "ntfys", "gotify", "gotifys", "nctalk", "nctalks", "signal", "signals"),
    }
)

#: Parameters that an address may have. Others of the library read files, or fetch what they name.
_PARAMETERS = frozenset(
    {
        *("to", "cc", "bcc", "from", "name", "reply", "smtp", "mode", "user", "pass", "format", "verify"),
        *("token", "auth", "channel", "channels", "team", "botname", "topic", "thread", "key", "workspace"),
        *("id", "sig", "ver", "api-version", "route", "routeid", "pa", "powerautomate", "wrap", "priority"),
        *("webhook", "version", "msgtype", "path", "hsreq", "discovery", "image", "footer", "region"),
    }
)
#: How the names of headers, fields and parameters of a webhook or headers of a mail begin.
_PREFIXES = "+:-"
_WITH_PREFIXES = frozenset({"json", "jsons", "mailto", "mailtos"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_MAIL = re.compile(r"[^\s@:/?#<>,;\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")

#: Networks that are no other machine, or that belong to whoever runs this one: nothing may be sent there.
_METADATA = tuple(
    map(ipaddress.ip_network, ("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "192.0.0.192/32"))
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """To what notifications may go."""

    schemes: frozenset[str]
    #: Names of hosts, or (with a dot in front) of domains; empty: any.
    hosts: tuple[str, ...] = ()
    #: Whether they may go to this machine itself.
    local: bool = False
    #: The mail server by which plain e-mail addresses are served; empty: none.
    mail_url: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A valid address: the URL for the library, and as much of it as may be shown."""

    url: str
    shown: str

    def __repr__(self) -> str:
        return f"Target({self.shown})"


def parse_address(text: str, policy: AddressPolicy) -> Target:
    """Return a valid address.

    Raises:
        InvalidInputError: it is none, or one that an administrator does not allow; repeats nothing of it but
            its scheme and the name of a parameter.
    """
    text = text.strip()
    if not 1 <= len(text) <= ADDRESS_MAX_LENGTH:
        raise InvalidInputError("address", f"must have 1 to {ADDRESS_MAX_LENGTH} characters")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidInputError("address", "must hold no blanks; in a URL they are %20")
    found = _SCHEME.fullmatch(text)
    if found is None:
        return _mail_target(text, policy)
    scheme, rest = found[1].lower(), found[2]
    _check_scheme(scheme, policy)
    for name in _parameters(rest):
        if name[:1] in _PREFIXES and scheme in _WITH_PREFIXES:
            continue
        if name not in _PARAMETERS:
            raise InvalidInputError("address", f"has the parameter {name[:40]!r}, which is not allowed")
    return Target(f"{scheme}://{rest}", _shown(scheme, rest))


def destination_of(shown: str) -> str:
    """Return what addresses of one server have in common, of an address as it is shown."""
    return shown if "://" in shown else "mail"


def host_is_allowed(host: str, hosts: tuple[str, ...]) -> bool:
    """Return whether a host is in a list of hosts and domains; an empty list has all."""
    name = host.lower().rstrip(".")
    return not hosts or any(
        name.endswith(entry.lower()) if entry.startswith(".") else name == entry.lower() for entry in hosts
    )


def is_forbidden(text: str, *, local: bool) -> bool:
    """Return whether nothing may be sent to an IP address: this machine unless `local`, and no host at all.

    Addresses of a hospital's own network are allowed; link-local ones, among them those under which a cloud
    serves the credentials of its machines, never are.
    """
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_forbidden(str(inner), local=local)
    if address.is_loopback:
        return not local
    special = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    return special or any(address in network for network in _METADATA)


def _check_scheme(scheme: str, policy: AddressPolicy) -> None:
    if scheme not in policy.schemes:
        allowed = ", ".join(f"{name}://" for name in sorted(policy.schemes))
        raise InvalidInputError("address", f"{scheme[:20]}:// is not allowed here; allowed: {allowed}")


def _mail_target(text: str, policy: AddressPolicy) -> Target:
    if _MAIL.fullmatch(text) is None:
        raise InvalidInputError(
            "address", "must be an e-mail address, or a URL such as mailtos://HOST or slack://TOKEN"
        )
    if not policy.mail_url:
        raise InvalidInputError(
            "address", "no mail server is set for plain e-mail addresses (DOSEQR_NOTIFICATION_MAIL_URL)"
        )
    joint = "&" if "?" in policy.mail_url else "?"
    local_part, _, domain = text.rpartition("@")
    return Target(f"{policy.mail_url}{joint}to={quote(text, safe='@')}", f"{local_part[0]}…@{domain}")


def _parameters(rest: str) -> Iterator[str]:
    """Yield the names of all parameters, however the library may take the address apart."""
    _, _, query = rest.partition("?")
    for part in re.split(r"[?&;]", query):
        if part:
            yield unquote(part.partition("=")[0]).strip().lower()


def _shown(scheme: str, rest: str) -> str:
    if scheme not in _WITH_HOST:
        return f"{scheme}://…"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host, colon, port = authority.rpartition("@")[2].rpartition(":")
    if not (colon and port.isdecimal()):
        host = authority.rpartition("@")[2]
    return f"{scheme}://{host.lower()}/…" if _HOST.fullmatch(host) else f"{scheme}://…"
