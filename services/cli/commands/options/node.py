"""The options of `doseqr nodes`: what a node has, as somebody adds or edits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shared.contract.text import Content

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
HeadersOption = Annotated[
    bool | None,
    typer.Option(
        "--headers/--whole",
        help="headers: where only the header of an object carries the dose, its pixels are left out in "
        "DoseQR's own store; whole, the default: all of it is kept.",
    ),
]
OrderHeadersOption = Annotated[
    bool | None,
    typer.Option(
        "--headers/--whole",
        help="headers: without pixels what is kept because of its header, in DoseQR's own store; whole: "
        "all of it, also what is there as a header; default: as the remote node is set up.",
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


def content_of(headers: bool | None) -> Content | None:
    """Return what `--headers` and `--whole` name; None where neither is given."""
    if headers is None:
        return None
    return "headers" if headers else "whole"
