"""`doseqr nodes`: add, list, edit and remove the nodes to query and to send to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.commands.options.node import (
    HOST,
    PORT,
    TITLE,
    AssociationsOption,
    CallingOption,
    GroupOption,
    HeadersOption,
    HoursOption,
    NameArgument,
    NodeArgument,
    RequestsOption,
    RetrieveOption,
    TlsCaOption,
    TlsCertificateOption,
    TlsKeyOption,
    TlsOption,
    VerifyOption,
    WebOption,
    WebUrlOption,
    ZoneOption,
    content_of,
)
from services.cli.output.console import JsonOption, line, print_json, table
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.contract.results import NodeResult

app = typer.Typer(help="Nodes: PACS and modalities to query (remote), and where objects are sent (store).")
add_app = typer.Typer(help="Add a node; adding the same again changes nothing.")
app.add_typer(add_app, name="add")


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
    headers: HeadersOption = None,
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
    from shared.nodes.nodes import GROUP

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
        **_retrieve_options(retrieve_with, headers),
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


def _retrieve_options(retrieve_with: str | None, headers: bool | None) -> dict[str, str | None]:
    from shared.nodes.nodes import RETRIEVE_BY, RETRIEVE_CONTENT

    return {RETRIEVE_BY: retrieve_with, RETRIEVE_CONTENT: content_of(headers)}


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
    from shared.nodes.nodes import (
        GROUP,
        LIMITS,
        RETRIEVE_BY,
        RETRIEVE_CONTENT,
        VERIFY_BY,
        list_nodes,
        node_json,
    )

    settings = settings_of_command()
    with opened_database(settings) as database, database.read() as session:
        nodes = [node_json(node) for node in list_nodes(session, kind.value if kind else None)]
    if as_json:
        print_json(nodes)
        return
    columns = ["id", "kind", "name", "host", "port", "ae_title", "calling_ae_title", *LIMITS]
    columns += [RETRIEVE_BY, RETRIEVE_CONTENT, VERIFY_BY, "tls", GROUP, "protocol", "web_url"]
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
    headers: HeadersOption = None,
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
    from shared.nodes.nodes import GROUP, VERIFY_BY, change_node, find_node, node_json

    options = {
        "name": name,
        "host": host,
        "port": port,
        "ae_title": ae_title,
        "calling_ae_title": calling_ae_title,
        **_limit_options(max_associations, requests_per_minute, hours, time_zone),
        GROUP: group,
        **_retrieve_options(retrieve_with, headers),
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
    """Remove a node; jobs that used it still show its name. DoseQR's own store stays.

    Example: doseqr nodes remove pacs
    """
    from shared.nodes.nodes import find_node, node_json
    from shared.nodes.removal import remove_node

    settings = settings_of_command()
    with opened_database(settings) as database, database.write() as session:
        found = find_node(session, node, field="node")
        removed = node_json(found)
        remove_node(session, found, settings, utc_now())
    _print(removed, "removed", as_json=as_json)


def _print(node: NodeResult, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(node)
    else:
        where = f"{node['ae_title']} at {node['host']}:{node['port']}"
        if node["protocol"] == "dicomweb":
            where = f"DICOMweb at {node['web_url']}"
        line(f"{what} {node['kind']} node {node['name']} (id {node['id']}): {where}")
