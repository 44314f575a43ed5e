"""What services connect to: the database, the broker, and each node with a C-ECHO from this machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from services.cli.checks.certificates import check_node_certificates
from services.cli.checks.check_result import CheckResult, failed, ok, warning
from shared.broker.definitions import ROLES, Role, user_of
from shared.broker.rabbitmq.connection import parse_address
from shared.broker.rabbitmq.inspection import inspect_broker
from shared.broker.topology import Names
from shared.clock import utc_now
from shared.configuration.values import broker_urls, split_url
from shared.database.clock import DatabaseClock
from shared.database.inspection import current_revision, missing_rights, server_encoding
from shared.database.migrate import newest_revision
from shared.database.models.web import Node
from shared.database.session import Database
from shared.dicom.association.c_echo import open_echo_association
from shared.dicom.errors import PeerError
from shared.dicom.status import SUCCESS, status_text
from shared.dicomweb.sessions import web_echo
from shared.errors import DoseQRError
from shared.nodes.nodes import list_nodes
from shared.nodes.peers import peer_of, timeouts_of
from shared.settings import Settings

DATABASE, BROKER, NODE = "database", "broker", "node"
#: The least difference of clocks that is reported.
CLOCK_TOLERANCE = timedelta(seconds=5)
#: Nodes that are called at once.
AT_ONCE = 16


def check_database_and_nodes(settings: Settings, *, with_nodes: bool) -> list[CheckResult]:
    """Return how the database stands, and how its nodes respond; nothing is made or changed."""
    file = settings.sqlite_file
    if file is not None and not file.is_file():
        return [ok(DATABASE, "connection", f"{file} is made at the first start")]
    try:
        database = Database(settings.database)
        try:
            revision = current_revision(database)
            results = [ok(DATABASE, "connection", database.description), _schema(revision)]
            if not database.is_sqlite:
                results += _server(database)
            nodes = _nodes(database) if revision and with_nodes else []
        finally:
            database.close()
    except DoseQRError as error:
        advice = "check DOSEQR_DATABASE_URL, _USER, _PASSWORD and the server"
        return [failed(DATABASE, "connection", f"{error}; {advice}")]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        results += threads.map(lambda node: _echo(node, settings), nodes)
    now = utc_now()
    for node in nodes:
        tls = peer_of(node, settings).tls
        if tls is not None:
            results += check_node_certificates(node.name, tls, now)
    return results


def _schema(current: str) -> CheckResult:
    newest = newest_revision()
    if not current:
        return ok(DATABASE, "schema", f"empty; the first service makes {newest}")
    if current < newest:
        detail = f"{current}; the first service migrates it to {newest}: make a backup"
        return warning(DATABASE, "schema", detail)
    if current == newest:
        return ok(DATABASE, "schema", current)
    detail = f"{current} belongs to another version of DoseQR; this one knows {newest}"
    return failed(DATABASE, "schema", detail)


def _server(database: Database) -> Iterator[CheckResult]:
    if missing := missing_rights(database):
        yield failed(DATABASE, "rights", f"the user lacks {', '.join(missing)}")
    else:
        yield ok(DATABASE, "rights", "all that services need")
    encoding = server_encoding(database)
    if encoding == "UTF8":
        yield ok(DATABASE, "encoding", encoding)
    elif encoding == "SQL_ASCII":
        yield warning(DATABASE, "encoding", f"{encoding}: texts are kept and not checked; UTF8 is better")
    else:
        yield failed(DATABASE, "encoding", f"{encoding}: other scripts are refused; make it with UTF8")
    clock = DatabaseClock(database)
    clock.read()
    difference = utc_now() - clock()
    offset = f"this machine is {difference.total_seconds():+.1f} s off the server, whose clock counts"
    if abs(difference) > CLOCK_TOLERANCE:
        yield warning(DATABASE, "clock", f"{offset}: synchronize both")
    else:
        yield ok(DATABASE, "clock", offset)


def _nodes(database: Database) -> list[Node]:
    with database.read() as session:
        return [*list_nodes(session, "remote"), *list_nodes(session, "store")]


def _echo(node: Node, settings: Settings) -> CheckResult:
    where = f"{node.ae_title} at {node.host}:{node.port}"
    if node.protocol == "dicomweb":
        return _web_echo(node, settings)
    try:
        association = open_echo_association(peer_of(node, settings), timeouts_of(settings))
        try:
            response = association.c_echo()
        finally:
            association.release()
    except PeerError as error:
        return failed(NODE, node.name, f"{where}: {error}")
    if response.status_code != SUCCESS:
        return failed(NODE, node.name, f"{where}: {status_text(response.status_code)}")
    return ok(NODE, node.name, f"{where}: {response.duration_s * 1000:.1f} ms")


def _web_echo(node: Node, settings: Settings) -> CheckResult:
    try:
        took_s = web_echo(peer_of(node, settings), timeouts_of(settings))
    except PeerError as error:
        return failed(NODE, node.name, f"{node.web_url}: {error}")
    return ok(NODE, node.name, f"{node.web_url}: {took_s * 1000:.1f} ms")


def check_broker(settings: Settings, service: str) -> list[CheckResult]:
    """Return how the broker stands for a service; "" means the one whose user logs in, or else all."""
    if settings.embedded:
        return [ok(BROKER, "connection", "memory://: in the process of doseqr serve all")]
    names = Names(settings.amqp_prefix)
    try:
        address = parse_address(settings.broker_url, settings.broker_tls)
        inspected = inspect_broker(address, names, role_of(settings, names, service))
    except DoseQRError as error:
        advice = "check DOSEQR_AMQP_URL, _USER, _PASSWORD and the broker"
        return [failed(BROKER, "connection", f"{error}; {advice}")]
    return [
        ok(BROKER, "connection", address.description),
        *(
            failed(BROKER, entry.subject, entry.problem)
            if entry.problem
            else ok(BROKER, entry.subject, entry.detail)
            for entry in inspected
        ),
    ]


def role_of(settings: Settings, names: Names, service: str) -> Role | None:
    """Return the role that is meant: the named service's, or that of a user of `doseqr topology`."""
    user = split_url(broker_urls(settings.broker_url)[0]).username
    for role in ROLES:
        if role.name == service or (not service and user_of(names, role) == user):
            return role
    return None
