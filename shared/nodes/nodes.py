"""Nodes: one validation and one set of rules for the page, the command line and whoever starts first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.contract.envelope import invalid
from shared.contract.results import NodeResult
from shared.contract.text import Content
from shared.database.models.web import Node
from shared.errors import InvalidInputError, NotFoundError
from shared.identifiers import AeTitle, Port
from shared.node_access.leases import forget_outages
from shared.node_access.limits import (
    MAX_ASSOCIATIONS_DEFAULT,
    MAX_ASSOCIATIONS_MOST,
    REQUESTS_PER_MINUTE_MOST,
    format_hours,
    parse_hours,
    parse_zone,
)
from shared.nodes.names import NAME_MAX_LENGTH, checked_group, checked_name, name_before_removal, trimmed
from shared.nodes.web_access import WEB, WebInput, require_by_protocol
from shared.settings import Settings

#: Name of the node that stands for DoseQR's own store.
OWN_STORE_NAME = "doseqr"

#: A label of a host name (RFC 1123 2.1); the underscore is what container networks use.
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST_MAX_LENGTH = 253

NodeKind = Literal["remote", "store"]

#: Limits of a remote node over all services together; who edits a node without speaking of them changes none.
LIMITS = ("max_associations", "requests_per_minute", "hours", "time_zone")

#: How objects come from a remote node: it sends them to the store node (C-MOVE), or gives them to us,
#: and we hand them on (C-GET). Who edits a node without speaking of it changes nothing.
RETRIEVE_BY = "retrieve_by"

#: What is retrieved of objects whose header carries the dose (docs/headers.md). Who edits a node without
#: speaking of it changes nothing.
RETRIEVE_CONTENT = "retrieve_content"

#: How it is known what a store node got: by what can be had (auto), or because it commits to keep it (storage
#: commitment). Who edits a node without speaking of it changes nothing.
VERIFY_BY = "verify_by"


#: TLS towards it, and the files for it. Who edits a node without speaking of them changes none.
TLS = ("tls", "tls_ca", "tls_certificate", "tls_key")

#: The group for which it is. Who edits a node without speaking of it changes nothing.
GROUP = "group"

#: A file of DOSEQR_TLS_DIR; no path, so that no other file is read.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
FILE_NAME_MAX_LENGTH = 100


class UnknownNodeError(InvalidInputError, NotFoundError):
    """No node has this id or name; the text lists the names there are."""


def _host(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        pass
    labels = value.removesuffix(".").split(".")
    resembles_address = labels[-1].isdecimal()
    if len(value) > _HOST_MAX_LENGTH or resembles_address or not all(_LABEL.fullmatch(x) for x in labels):
        raise ValueError("must be a host name or an IP address")
    return value


def _file_name(value: str) -> str:
    if value and (len(value) > FILE_NAME_MAX_LENGTH or not _FILE_NAME.fullmatch(value)):
        raise ValueError(
            f"must be the name of a file in DOSEQR_TLS_DIR, without a folder: up to {FILE_NAME_MAX_LENGTH}"
            " letters, digits, dots, dashes and underscores"
        )
    return value


def _hours(value: str) -> str:
    return format_hours(parse_hours(value))


def _time_zone(value: str) -> str:
    parse_zone(value)
    return value


_FileName = Annotated[str, BeforeValidator(trimmed), AfterValidator(_file_name)]


class NodeInput(WebInput):
    """The attributes of a node, as somebody adds or edits it."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=require_by_protocol)

    kind: NodeKind
    name: Annotated[str, BeforeValidator(trimmed), AfterValidator(checked_name)]
    host: Annotated[str, BeforeValidator(trimmed), AfterValidator(_host)]
    port: Port
    ae_title: AeTitle
    #: The title we call a remote node from; none: the store's own.
    calling_ae_title: Annotated[AeTitle | None, BeforeValidator(lambda value: trimmed(value) or None)] = None

    max_associations: Annotated[int, BeforeValidator(trimmed), Field(ge=1, le=MAX_ASSOCIATIONS_MOST)] = (
        MAX_ASSOCIATIONS_DEFAULT
    )
    #: None: no limit.
    requests_per_minute: Annotated[
        Annotated[int, Field(ge=1, le=REQUESTS_PER_MINUTE_MOST)] | None,
        BeforeValidator(lambda value: None if trimmed(value) == "" else trimmed(value)),
    ] = None
    #: "18:00-06:00", several separated by commas; empty: always.
    hours: Annotated[str, AfterValidator(_hours)] = ""
    #: Of the IANA database; empty: the server's.
    time_zone: Annotated[str, BeforeValidator(trimmed), AfterValidator(_time_zone)] = ""

    #: For whom it is; empty: for those alone who may use all nodes.
    group: Annotated[str, BeforeValidator(trimmed), AfterValidator(checked_group)] = ""

    retrieve_by: Literal["move", "get"] = "move"
    retrieve_content: Content = "whole"
    verify_by: Literal["auto", "commitment"] = "auto"

    #: off, on: its certificate has to name the host; any-name: whatever name it gives.
    tls: Literal["off", "on", "any-name"] = "off"
    #: Its certificate or the authorities of it, in PEM; empty: what the operating system trusts.
    tls_ca: _FileName = ""
    #: What is shown to it; empty: nothing.
    tls_certificate: _FileName = ""
    #: Empty: the key stands in the file of the certificate.
    tls_key: _FileName = ""

    @model_validator(mode="after")
    def _only_remote_nodes_are_queried(self) -> NodeInput:
        for name in ("protocol", "calling_ae_title", *LIMITS, RETRIEVE_BY, RETRIEVE_CONTENT):
            if self.kind == "store" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is for remote nodes only")
        return self

    @model_validator(mode="after")
    def _only_store_nodes_are_verified(self) -> NodeInput:
        if self.kind == "remote" and self.verify_by != "auto":
            raise ValueError(f"{VERIFY_BY} is for store nodes only")
        return self

    @model_validator(mode="after")
    def _a_key_belongs_to_a_certificate(self) -> NodeInput:
        if self.tls_key and not self.tls_certificate:
            raise ValueError("tls_key is the key of tls_certificate, which is empty")
        return self


def parse_node(data: Mapping[str, object]) -> NodeInput:
    """Validate the attributes of a node.

    Raises:
        InvalidInputError: a value is missing or malformed; names the field.
    """
    try:
        return NodeInput.model_validate(dict(data))
    except ValidationError as error:
        raise invalid(error) from None


def list_nodes(session: Session, kind: str | None = None) -> list[Node]:
    """Return the nodes that are not removed, by id."""
    statement = select(Node).where(Node.removed_at.is_(None)).order_by(Node.id)
    if kind is not None:
        statement = statement.where(Node.kind == kind)
    return list(session.scalars(statement))


def find_node(session: Session, reference: int | str, kind: str | None = None, field: str = "") -> Node:
    """Return the node with this id or name; `field` is what the outside calls the reference.

    Raises:
        UnknownNodeError: there is none of this kind; names the field and lists the known names.
    """
    statement = select(Node).where(Node.removed_at.is_(None))
    text = str(reference).strip()
    statement = statement.where(Node.id == int(text) if _is_id(text) else Node.name == text)
    node = session.scalars(statement).one_or_none()
    if node is None or (kind is not None and node.kind != kind):
        raise UnknownNodeError(field or kind or "node", _unknown(session, text, node, kind))
    return node


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9  # noqa: PLR2004 - fits a 32-bit column


def _unknown(session: Session, text: str, node: Node | None, kind: str | None) -> str:
    known = ", ".join(known.name for known in list_nodes(session, kind)) or "none"
    shown = text[:NAME_MAX_LENGTH]
    if node is not None:
        return f"{shown!r} is a {node.kind} node, not a {kind} node; known {kind} nodes: {known}"
    removed = session.get(Node, int(text)) if _is_id(text) else None
    if removed is not None:
        return f"the {removed.kind} node {name_before_removal(removed.name)} was removed; known: {known}"
    return f"there is no {kind + ' ' if kind else ''}node {shown!r}; known: {known}"


def add_node(session: Session, given: NodeInput, now: datetime) -> Node:
    """Add a node; adding the same again returns the one there is.

    Raises:
        InvalidInputError: another node has this name, or one that differs by upper and lower case alone.
    """
    alike = [node for node in list_nodes(session) if node.name.casefold() == given.name.casefold()]
    # All of them at once: another process may be adding the same node.
    existing = next((node for node in alike if node.name == given.name), None)
    if existing is not None:
        if _is_the_same(existing, given):
            return existing
        raise _taken(existing)
    if alike:
        raise InvalidInputError("name", f"differs from the node {alike[0].name} in nothing but case")
    node = Node(created_at=now, **_columns(given))
    try:
        with session.begin_nested():
            session.add(node)
            session.flush()
    except IntegrityError:  # somebody added it between our read and our write
        existing = _named(session, given.name)
        if existing is None:
            raise
        if _is_the_same(existing, given):
            return existing
        raise _taken(existing) from None
    return node


def edit_node(session: Session, node: Node, given: NodeInput) -> Node:
    """Change a node; its kind stays, since jobs rest on it.

    Raises:
        InvalidInputError: another node has this name, or the kind differs.
    """
    if given.kind != node.kind:
        raise InvalidInputError("kind", "cannot be changed; remove the node and add another")
    existing = _named(session, given.name)
    if existing is not None and existing.id != node.id:
        raise _taken(existing)
    for column, value in _columns(given).items():
        setattr(node, column, value)
    session.flush()
    forget_outages(session, [node.id])
    return node


def change_node(session: Session, node: Node, changes: Mapping[str, object]) -> Node:
    """Change only some attributes of a node.

    Raises:
        InvalidInputError: a value is malformed, or as for `edit_node`.
    """
    return edit_node(session, node, parse_node(node_attributes(node) | dict(changes)))


def is_own_store(node: Node, settings: Settings) -> bool:
    """Return whether this node is DoseQR's own store: the same AE title and port."""
    return (
        node.kind == "store"
        and AeTitle(node.ae_title) == AeTitle(settings.store_ae_title)
        and node.port == settings.store_port
    )


def ensure_own_store(session: Session, settings: Settings, now: datetime) -> Node:
    """Return the node of DoseQR's own store; makes it, or follows a changed port, if there is none."""
    for node in list_nodes(session, "store"):
        if is_own_store(node, settings):
            return node
    own = _own_store(settings, OWN_STORE_NAME)
    named = _named(session, OWN_STORE_NAME)
    if named is None:
        return add_node(session, own, now)
    if (named.kind, named.host, named.ae_title) == (own.kind, own.host, own.ae_title):
        return edit_node(session, named, own)
    return add_node(session, _own_store(settings, f"{OWN_STORE_NAME}-{settings.store_port}"), now)


def node_json(node: Node) -> NodeResult:
    """Return a node as `doseqr nodes list --json` and the HTTP API show it."""
    pause = node.pause
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "host": node.host,
        "port": node.port,
        "ae_title": node.ae_title,
        "calling_ae_title": node.calling_ae_title,
        "max_associations": node.max_associations,
        "requests_per_minute": node.requests_per_minute,
        "hours": node.hours,
        "time_zone": node.time_zone,
        "retrieve_by": node.retrieve_by,
        "retrieve_content": node.retrieve_content,
        "verify_by": node.verify_by,
        "group": node.group,
        "tls": node.tls,
        "tls_ca": node.tls_ca,
        "tls_certificate": node.tls_certificate,
        "tls_key": node.tls_key,
        "protocol": node.protocol,
        "web_url": node.web_url,
        "web_qido_url": node.web_qido_url,
        "web_wado_url": node.web_wado_url,
        "web_authentication": node.web_authentication,
        "web_user": node.web_user,
        "web_secret_file": node.web_secret_file,
        "web_token_url": node.web_token_url,
        "web_scope": node.web_scope,
        "web_timeout_s": node.web_timeout_s,
        "paused": pause is not None,
        "paused_by": pause.by if pause is not None else "",
        "paused_at": pause.since if pause is not None else None,
    }


def node_attributes(node: Node) -> dict[str, object]:
    """Return what `parse_node` takes of a node, for whoever edits a part of it."""
    return {name: value for name, value in node_json(node).items() if name in NodeInput.model_fields}


def _own_store(settings: Settings, name: str) -> NodeInput:
    return parse_node(
        {
            "kind": "store",
            "name": name,
            "host": settings.store_address,
            "port": settings.store_port,
            "ae_title": settings.store_ae_title,
        }
    )


def _named(session: Session, name: str) -> Node | None:
    return session.scalars(select(Node).where(Node.name == name)).one_or_none()


def _taken(existing: Node) -> InvalidInputError:
    return InvalidInputError("name", f"there is already a {existing.kind} node of this name")


def _is_the_same(node: Node, given: NodeInput) -> bool:
    return all(getattr(node, column) == value for column, value in _columns(given).items())


def _columns(given: NodeInput) -> dict[str, object]:
    given_names = [
        name
        for name in (*LIMITS, GROUP, RETRIEVE_BY, RETRIEVE_CONTENT, VERIFY_BY, *TLS, *WEB)
        if name in given.model_fields_set
    ]
    return {
        "kind": given.kind,
        "name": given.name,
        "host": given.host,
        "port": given.port,
        "ae_title": str(given.ae_title),
        "calling_ae_title": str(given.calling_ae_title or ""),
        **{name: getattr(given, name) for name in given_names},
    }
