"""`doseqr nodes`: add, list, edit and remove the nodes to query and to send to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, print_json, table
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.contract.results import NodeResult

app = typer.Typer(help="Nodes: PACS and modalities to query (remote), and where objects are sent (store).")
add_app = typer.Typer(help="Add a node; adding the same again changes nothing.")
app.add_typer(add_app, name="add")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of its own, 1 to 64 characters.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="The node's id or name.")]
HOST = typer.Option("--host", metavar="H", help="Host name or IP address.")
PORT = typer.Option("--port", metavar="P", help="TCP port, 1 to 65535.")
TITLE = typer.Option("--ae-title", metavar="A", help="Its AE title.")
CallingOption = Annotated[
    str,
    typer.Option("--calling-ae-title", metavar="C", help="The AE title we call from; default: the store's."),
]
AssociationsOption = Annotated[
    str | None,
    typer.Option(
        "--max-associations",
        metavar="N",
        help="Associations at once, of all services together, 1 to 64; default: 4.",
    ),
]
RequestsOption = Annotated[
    str | None,
    typer.Option(
        "--requests-per-minute",
        metavar="N",
        help="C-FINDs and C-MOVEs a minute, 1 to 6000; empty, the default: no limit.",
    ),
]
HoursOption = Annotated[
    str | None,
    typer.Option(
        "--hours",
        metavar="H",
        help='Hours in which it takes requests, as "18:00-06:00,12:00-13:00"; empty, the default: always.',
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--time-zone", metavar="Z", help="Time zone of the hours, as Europe/Berlin; default: the server's."
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="G",
        help="For whom it is: users can be limited to groups; empty, the default: a remote node for those "
        "who may use all, a store node for all.",
    ),
]
RetrieveOption = Annotated[
    str | None,
    typer.Option(
        "--retrieve-with",
        metavar="W",
        help="move, the default: the PACS sends to the store node; get: DoseQR fetches and hands on.",
    ),
]
VerifyOption = Annotated[
    str | None,
    typer.Option(
        "--verify-with",
        metavar="W",
        help="How it is known what it got. auto, the default: by C-FIND where it responds; commitment: by "
        "storage commitment.",
    ),
]


TlsOption = Annotated[
    str | None,
    typer.Option(
        "--tls",
        metavar="W",
        help="off, the default; on: TLS 1.2 or newer, and its certificate names the host; any-name: whatever "
        "name the certificate gives.",
    ),
]
TlsCaOption = Annotated[
    str | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="File in DOSEQR_TLS_DIR with its certificate or the authorities of it, in PEM; empty, the "
        "default: what the operating system trusts.",
    ),
]
TlsCertificateOption = Annotated[
    str | None,
    typer.Option(
        "--tls-certificate",
        metavar="FILE",
        help="File in DOSEQR_TLS_DIR with the certificate that is shown to it; empty, the default: none.",
    ),
]
TlsKeyOption = Annotated[
    str | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        help="File in DOSEQR_TLS_DIR with the key of that certificate; empty: it stands in the same file.",
    ),
]


WebUrlOption = Annotated[
    str | None,
    typer.Option(
        "--dicomweb",
        metavar="URL",
        help="It speaks DICOMweb: the address below which /studies lies. It then needs no host, port and AE "
        "title.",
    ),
]
WebOption = Annotated[
    list[str] | None,
    typer.Option(
        "--web",
        metavar="NAME=VALUE",
        help="What DICOMweb needs beside its address; can be repeated. qido_url, wado_url: where these are "
        "elsewhere; authentication: none, basic, bearer, oauth; user: user name or client id; secret_file: "
        "file in DOSEQR_SECRETS_DIR with the password, token or client secret; token_url and scope of oauth; "
        "timeout_s: seconds for a response.",
    ),
]


class NodeKindOption(StrEnum):
    """The kinds of nodes."""

    REMOTE = "remote"
    STORE = "store"


@add_app.command("remote")
def add_remote(
    name: NameArgument,
    host: Annotated[str | None, HOST] = None,
    port: Annotated[str | None, PORT] = None,
    ae_title: Annotated[str | None, TITLE] = None,
    calling_ae_title: CallingOption = "",
    max_associations: AssociationsOption = None,
    requests_per_minute: RequestsOption = None,
    hours: HoursOption = None,
    time_zone: ZoneOption = None,
    group: GroupOption = None,
    retrieve_with: RetrieveOption = None,
    tls: TlsOption = None,
    tls_ca: TlsCaOption = None,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    dicomweb: WebUrlOption = None,
    web: WebOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a PACS or modality that responds to C-FIND, and C-MOVE or C-GET, or one that speaks DICOMweb.

    Examples: doseqr nodes add remote pacs --host 10.0.0.5 --port 104 --ae-title PACS;
    doseqr nodes add remote web --dicomweb https://pacs.example/dicom-web --web authentication=bearer
    --web secret_file=pacs-token
    """
    from shared.nodes.nodes import GROUP, RETRIEVE_BY

    given = {"kind": "remote", "name": name, "calling_ae_title": calling_ae_title}
    address = {"--host": host, "--port": port, "--ae-title": ae_title}
    absent = [option for option, value in address.items() if value is None]
    if absent and dicomweb is None:
        raise typer.BadParameter(f"missing {', '.join(absent)}; or --dicomweb for one that speaks DICOMweb")
    options = {
        "host": host,
        "port": port,
        "ae_title": ae_title,
        **_web_options(dicomweb, web),
        **_limit_options(max_associations, requests_per_minute, hours, time_zone),
        GROUP: group,
        RETRIEVE_BY: retrieve_with,
        **_tls_options(tls, tls_ca, tls_certificate, tls_key),
    }
    _add(given | _given(options), as_json=as_json)


@add_app.command("store")
def add_store(
    name: NameArgument,
    host: Annotated[str, HOST],
    port: Annotated[str, PORT],
    ae_title: Annotated[str, TITLE],
    group: GroupOption = None,
    verify_with: VerifyOption = None,
    tls: TlsOption = None,
    tls_ca: TlsCaOption = None,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a node that takes C-STORE; the PACS has to know its AE title as a destination.

    Example: doseqr nodes add store archive --host 10.0.0.6 --port 104 --ae-title ARCHIVE
    """
    from shared.nodes.nodes import GROUP, VERIFY_BY

    given = {"kind": "store", "name": name, "host": host, "port": port, "ae_title": ae_title}
    options = {
        GROUP: group,
        VERIFY_BY: verify_with,
        **_tls_options(tls, tls_ca, tls_certificate, tls_key),
    }
    _add(given | _given(options), as_json=as_json)


def _limit_options(*values: str | None) -> dict[str, str | None]:
    from shared.nodes.nodes import LIMITS

    return dict(zip(LIMITS, values, strict=True))


def _tls_options(*values: str | None) -> dict[str, str | None]:
    from shared.nodes.nodes import TLS

    return dict(zip(TLS, values, strict=True))


def _web_options(url: str | None, values: list[str] | None) -> dict[str, str | None]:
    from shared.nodes.web_access import WEB

    options: dict[str, str | None] = {} if url is None else {"protocol": "dicomweb", "web_url": url}
    for text in values or ():
        name, equals, value = text.partition("=")
        if not equals or f"web_{name}" not in WEB:
            known = ", ".join(column.removeprefix("web_") for column in WEB[2:])
            raise typer.BadParameter(f"--web takes NAME=VALUE with one of these names: {known}")
        options[f"web_{name}"] = value
    return options


def _given(options: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _add(given: Mapping[str, object], *, as_json: bool) -> None:
    from shared.nodes.nodes import add_node, node_json, parse_node

    parsed = parse_node(given)
    settings = settings_of_command()
    with opened_database(settings, create=True) as database, database.write() as session:
        node = node_json(add_node(session, parsed, utc_now()))
    _print(node, "added", as_json=as_json)


@app.command("list")
def list_all(
    kind: Annotated[NodeKindOption | None, typer.Option(help="Only nodes of this kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the nodes.

    Examples: doseqr nodes list; doseqr nodes list --json
    """
    from shared.nodes.nodes import GROUP, LIMITS, RETRIEVE_BY, VERIFY_BY, list_nodes, node_json

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        nodes = [node_json(node) for node in list_nodes(session, kind.value if kind else None)]
    if as_json:
        print_json(nodes)
        return
    columns = ["id", "kind", "name", "host", "port", "ae_title", "calling_ae_title", *LIMITS]
    columns += [RETRIEVE_BY, VERIFY_BY, "tls", GROUP, "protocol", "web_url"]
    rows = [dict(node) for node in nodes]
    table(columns, [[row[column] for column in columns] for row in rows])


@app.command("edit")
def edit(
    node: NodeArgument,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Another name.")] = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="Another host.")] = None,
    port: Annotated[str | None, typer.Option(metavar="P", help="Another port.")] = None,
    ae_title: Annotated[str | None, typer.Option(metavar="A", help="Another AE title.")] = None,
    calling_ae_title: Annotated[
        str | None, typer.Option(metavar="C", help="Another AE title to call from; empty: the store's.")
    ] = None,
    max_associations: AssociationsOption = None,
    requests_per_minute: RequestsOption = None,
    hours: HoursOption = None,
    time_zone: ZoneOption = None,
    group: GroupOption = None,
    retrieve_with: RetrieveOption = None,
    verify_with: VerifyOption = None,
    tls: TlsOption = None,
    tls_ca: TlsCaOption = None,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    dicomweb: WebUrlOption = None,
    web: WebOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a node; what is not given stays. No service has to be restarted.

    Example: doseqr nodes edit pacs --max-associations 2 --hours 18:00-06:00
    """
    from shared.nodes.nodes import GROUP, RETRIEVE_BY, VERIFY_BY, change_node, find_node, node_json

    options = {
        "name": name,
        "host": host,
        "port": port,
        "ae_title": ae_title,
        "calling_ae_title": calling_ae_title,
        **_limit_options(max_associations, requests_per_minute, hours, time_zone),
        GROUP: group,
        RETRIEVE_BY: retrieve_with,
        VERIFY_BY: verify_with,
        **_tls_options(tls, tls_ca, tls_certificate, tls_key),
        **_web_options(dicomweb, web),
    }
    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        found = find_node(session, node, field="node")
        changed = node_json(change_node(session, found, _given(options)))
    _print(changed, "changed", as_json=as_json)


@app.command("remove")
def remove(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Remove a node; jobs that used it still show its name.

    Example: doseqr nodes remove pacs
    """
    from shared.nodes.nodes import find_node, node_json, remove_node

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        found = find_node(session, node, field="node")
        removed = node_json(found)
        remove_node(session, found, utc_now())
    _print(removed, "removed", as_json=as_json)


def _print(node: NodeResult, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(node)
    else:
        where = f"{node['ae_title']} at {node['host']}:{node['port']}"
        if node["protocol"] == "dicomweb":
            where = f"DICOMweb at {node['web_url']}"
        line(f"{what} {node['kind']} node {node['name']} (id {node['id']}): {where}")
