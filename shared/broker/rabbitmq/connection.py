"""How this program speaks to RabbitMQ: addresses, connections, messages, and pika's errors renamed."""

from __future__ import annotations

import copy
import logging
import random
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingConnection
from pika.adapters.utils import connection_workflow

from shared.broker.port import Message
from shared.broker.tls_files import TlsFiles
from shared.broker.topology import QUEUES, Names
from shared.configuration.values import broker_urls
from shared.errors import BrokerAwayError, DoseQRError, PermanentError, SettingsError, UnroutableError

#: Seconds without a sign of life after which a connection counts as dead, unless the URL sets another.
HEARTBEAT_S = 20

#: Seconds for a TCP connection, and for the whole of connecting with TLS and AMQP's opening.
CONNECT_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 10.0

#: Seconds for which a broker short of memory or disk may hold back a publisher.
BLOCKED_TIMEOUT_S = 30.0

#: AMQP 0-9-1 reply codes (specification, section 1.4).
ACCESS_REFUSED, NOT_FOUND = 403, 404

#: Errors within errors that are examined for one of TLS.
MAX_CAUSES = 20

NO_TLS_FILES = TlsFiles()

#: What pika raises on an open connection; its errors have no common ancestor.
PIKA_ERRORS = (exceptions.AMQPError, exceptions.ChannelError, OSError)

# What pika logs at these levels is raised as well, and our callers log it with its circumstances.
logging.getLogger("pika").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Address:
    """Where RabbitMQ is (several nodes of one cluster) and how to log in; its text holds no password."""

    endpoints: tuple[pika.connection.Parameters, ...]
    description: str

    @property
    def heartbeat_s(self) -> int | None:
        """Seconds without a sign of life after which a connection counts as dead, as far as set here."""
        heartbeat_s: int | None = self.endpoints[0].heartbeat
        return heartbeat_s

    def __repr__(self) -> str:
        return f"Address({self.description})"


def parse_address(url: str, tls: TlsFiles = NO_TLS_FILES) -> Address:
    """Read an amqp:// or amqps:// URL; several hosts in it are separated by commas.

    Raises:
        SettingsError: it is none, or a file for TLS cannot be used; the text does not repeat the URL, which
            may hold a password.
    """
    malformed = SettingsError("DOSEQR_AMQP_URL is not of the form amqp[s]://user:password@host:port/vhost")
    try:
        urls = broker_urls(url)
        parts = urlsplit(urls[0])
        endpoints = tuple(pika.URLParameters(host_url) for host_url in urls)
    except (ValueError, TypeError, AttributeError, SyntaxError):
        # The cause repeats the URL, which may hold a password.
        raise malformed from None
    if parts.scheme not in ("amqp", "amqps"):
        raise malformed
    context = _tls_context(tls) if parts.scheme == "amqps" else None
    for parameters in endpoints:
        if "heartbeat=" not in parts.query:
            parameters.heartbeat = HEARTBEAT_S
        parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_S
        parameters.socket_timeout = CONNECT_TIMEOUT_S
        parameters.stack_timeout = OPEN_TIMEOUT_S
        parameters.connection_attempts = 1
        if context is not None and "ssl_options=" not in parts.query:
            parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    hosts = ",".join(_host_and_port(parameters) for parameters in endpoints)
    return Address(endpoints, f"{parts.scheme}://{hosts}{parts.path}")


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    what = "DOSEQR_AMQP_TLS_CA"
    try:
        context = ssl.create_default_context(cafile=files.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        what = "DOSEQR_AMQP_TLS_CERT or DOSEQR_AMQP_TLS_KEY"
        if files.certificate:
            # An encrypted key must not prompt for its password on the terminal of whoever started us.
            context.load_cert_chain(files.certificate, files.key or None, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(f"{what}: the file cannot be used ({reason})") from None
    return context


def _host_and_port(parameters: pika.connection.Parameters) -> str:
    host = f"[{parameters.host}]" if ":" in parameters.host else parameters.host
    return f"{host}:{parameters.port}"


@contextmanager
def renamed_errors(what: str, permission: str = "") -> Iterator[None]:
    """Turn pika's errors into ours; `permission` is what the broker wants for this.

    Raises:
        UnroutableError: no queue takes the message, or the exchange is missing.
        PermanentError: the broker refuses because of what stands already, or forbids it.
        BrokerAwayError: everything else that pika raises.
    """
    try:
        yield
    except exceptions.UnroutableError as error:
        raise UnroutableError(f"{what}: no queue takes this routing key") from error
    except exceptions.ChannelClosedByBroker as error:
        raise _refused(what, permission, error) from error
    except (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError) as error:
        raise BrokerAwayError(f"{what}: the broker refuses the login or the virtual host") from error
    except exceptions.ShortStringTooLong as error:
        raise PermanentError(f"{what}: a routing key or header name is longer than 255 bytes") from error
    except (*PIKA_ERRORS, connection_workflow.AMQPConnectorException) as error:
        raise BrokerAwayError(f"{what}: {why_away(error)}") from error


def _refused(what: str, permission: str, error: exceptions.ChannelClosedByBroker) -> DoseQRError:
    if error.reply_code == NOT_FOUND:
        return UnroutableError(f"{what}: the exchange or queue does not exist")
    # The broker's words name the resource and the user, and no secret.
    words = error.reply_text or f"reply code {error.reply_code}"
    missing = f"; missing is the permission {permission}" if permission else ""
    if error.reply_code != ACCESS_REFUSED:
        missing = ""
    return PermanentError(f"{what}: refused by the broker: {words}{missing}")


def why_away(error: BaseException) -> str:
    """Return why a broker could not be reached, for people."""
    cause = tls_error_in(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted ({cause.verify_message}); set DOSEQR_AMQP_TLS_CA to the "
            "authority that issued it, and call the broker by a name in it"
        )
    if cause is not None:
        return (
            f"TLS failed ({cause.reason or cause}); the broker may want a client certificate "
            "(DOSEQR_AMQP_TLS_CERT, DOSEQR_AMQP_TLS_KEY), or not speak TLS on this port"
        )
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return (
            "the broker ended the connection before AMQP began: it may want a client certificate "
            "(DOSEQR_AMQP_TLS_CERT, DOSEQR_AMQP_TLS_KEY), or TLS (amqps://), or be no RabbitMQ"
        )
    return f"the broker is away ({type(error).__name__})"


def tls_error_in(error: BaseException) -> ssl.SSLError | None:
    """Return the error of TLS that pika wraps in its own, if there is one."""
    waiting: list[object] = [error]
    for _ in range(MAX_CAUSES):
        if not waiting:
            return None
        cause = waiting.pop()
        if isinstance(cause, ssl.SSLError):
            return cause
        if isinstance(cause, BaseException):
            waiting += [*cause.args, getattr(cause, "exception", None), cause.__cause__, cause.__context__]
    return None


def connect(address: Address, purpose: str) -> BlockingConnection:
    """Open a connection that the broker's own tools show under this purpose.

    The nodes of a cluster are tried in random order, so that the connections spread over them.

    Raises:
        BrokerAwayError: it cannot be opened within a bounded time.
    """
    failures: list[str] = []
    # Not for secrecy: any order will do.
    for endpoint in random.sample(address.endpoints, len(address.endpoints)):
        parameters = copy.copy(endpoint)
        parameters.client_properties = {"connection_name": f"doseqr {purpose}"}
        try:
            with renamed_errors(_host_and_port(parameters)):
                return BlockingConnection(parameters)
        except BrokerAwayError as error:
            if len(address.endpoints) == 1:
                words = str(error).removeprefix(f"{_host_and_port(parameters)}: ")
                raise BrokerAwayError(f"connecting to {address.description}: {words}") from error.__cause__
            failures.append(str(error))
    raise BrokerAwayError(f"connecting to {address.description}: {'; '.join(failures)}")


def close_quietly(connection: BlockingConnection | None) -> None:
    """Close a connection that may be gone already."""
    if connection is None:
        return
    try:
        if connection.is_open:
            connection.close()
    except PIKA_ERRORS:
        return


def can_open(url: str, timeout_s: float = OPEN_TIMEOUT_S) -> bool:
    """Return whether a broker responds at this URL and accepts the login within `timeout_s` seconds."""
    address = parse_address(url)
    for parameters in address.endpoints:
        parameters.stack_timeout = timeout_s
    try:
        connection = connect(address, "probe")
    except BrokerAwayError:
        return False
    close_quietly(connection)
    return True


def remove_topology(url: str, prefix: str, tls: TlsFiles = NO_TLS_FILES) -> None:
    """Take all exchanges and queues of an installation away, with what they hold.

    Raises:
        BrokerAwayError: the broker cannot be reached.
    """
    names = Names(prefix)
    connection = connect(parse_address(url, tls), "removal")
    try:
        with renamed_errors("removing the topology"):
            channel = connection.channel()
            for queue in (names.dead_letters, *(names.queue(spec.name) for spec in QUEUES)):
                channel.queue_delete(queue)
            for exchange in (names.commands, names.events, names.dead_letter_exchange):
                channel.exchange_delete(exchange)
    finally:
        close_quietly(connection)


def to_properties(message: Message, extra_headers: Mapping[str, str]) -> pika.BasicProperties:
    """Return AMQP properties of a persistent message."""
    return pika.BasicProperties(
        content_type=message.content_type,
        delivery_mode=pika.DeliveryMode.Persistent.value,
        message_id=message.message_id,
        correlation_id=message.correlation_id or None,
        reply_to=message.reply_to or None,
        headers={**message.headers, **extra_headers},
    )


def to_message(routing_key: str, properties: pika.BasicProperties, body: bytes) -> Message:
    """Return what travelled; headers that are no text are the broker's own and stay out."""
    headers: dict[str, object] = properties.headers or {}
    return Message(
        routing_key=routing_key,
        body=body,
        message_id=properties.message_id or "",
        correlation_id=properties.correlation_id or "",
        headers={key: value for key, value in headers.items() if isinstance(value, str)},
        content_type=properties.content_type or "",
        reply_to=properties.reply_to or "",
    )
