"""How a node is called by DICOMweb: what people enter, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from pydantic.config import JsonDict

from shared.database.models.web import Node
from shared.dicom.peer import Authentication, WebAccess
from shared.dicomweb.http.address import URL_MAX_LENGTH, web_address
from shared.nodes.names import trimmed

#: The protocol of a node, and all that belongs to DICOMweb. Who edits a node without speaking of them changes
#: none.
WEB = (
    "protocol",
    "web_url",
    "web_qido_url",
    "web_wado_url",
    "web_authentication",
    "web_user",
    "web_secret_file",
    "web_token_url",
    "web_scope",
    "web_timeout_s",
)

#: Stands where a node needs an AE title; DICOMweb has none.
NO_AE_TITLE = "DICOMWEB"

#: Characters of a user name or client id, and of a scope.
USER_MAX_LENGTH, SCOPE_MAX_LENGTH = 128, 500
#: Seconds for a response.
TIMEOUT_MOST_S = 3600
SECRET_FILE_MAX_LENGTH = 100

#: A file of DOSEQR_SECRETS_DIR; no path, so that no other file is read.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def _url(value: str) -> str:
    if value:
        web_address(value)
    return value.rstrip("/")


def _file_name(value: str) -> str:
    if value and (len(value) > SECRET_FILE_MAX_LENGTH or not _FILE_NAME.fullmatch(value)):
        raise ValueError(
            "must be the name of a file in DOSEQR_SECRETS_DIR, without a folder: up to"
            f" {SECRET_FILE_MAX_LENGTH} letters, digits, dots, dashes and underscores"
        )
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable")
    return value


_Url = Annotated[str, BeforeValidator(trimmed), Field(max_length=URL_MAX_LENGTH), AfterValidator(_url)]


class WebInput(BaseModel):
    """The attributes of a node that belong to DICOMweb, as somebody adds or edits it."""

    #: dicomweb: it is called by QIDO-RS and WADO-RS at its address, and has no AE title.
    protocol: Literal["dimse", "dicomweb"] = "dimse"
    #: The address below which /studies lies.
    web_url: _Url = ""
    #: Where these are elsewhere.
    web_qido_url: _Url = ""
    web_wado_url: _Url = ""
    web_authentication: Authentication = "none"
    #: The user of basic, the client id of oauth.
    web_user: Annotated[
        str, BeforeValidator(trimmed), Field(max_length=USER_MAX_LENGTH), AfterValidator(_printable)
    ] = ""
    #: A file of DOSEQR_SECRETS_DIR with the password, the token, or the client secret.
    web_secret_file: Annotated[str, BeforeValidator(trimmed), AfterValidator(_file_name)] = ""
    #: Where oauth requests its tokens, and for which scope.
    web_token_url: _Url = ""
    web_scope: Annotated[
        str, BeforeValidator(trimmed), Field(max_length=SCOPE_MAX_LENGTH), AfterValidator(_printable)
    ] = ""
    #: Seconds for a response; none: DOSEQR_DIMSE_TIMEOUT.
    web_timeout_s: Annotated[
        Annotated[int, Field(ge=1, le=TIMEOUT_MOST_S)] | None,
        BeforeValidator(lambda value: None if trimmed(value) == "" else trimmed(value)),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Fill in for DICOMweb what DIMSE has: its host and port, and the way objects are retrieved."""
        if not isinstance(data, Mapping) or data.get("protocol") != "dicomweb":
            return data
        filled = dict(data) | {"ae_title": NO_AE_TITLE, "retrieve_by": "get"}
        try:
            address = web_address(str(trimmed(data.get("web_url") or "")))
        except ValueError:
            # The address itself is refused, and nothing else.
            return filled | {"host": "localhost", "port": 443}
        tls = data.get("tls") or "off"
        secure = "on" if tls == "off" else tls
        return filled | {
            "host": address.host,
            "port": address.port,
            "tls": secure if address.secure else "off",
        }

    @model_validator(mode="after")
    def _only_with_its_protocol(self) -> WebInput:
        if self.protocol == "dimse":
            for name in WEB[1:]:
                if getattr(self, name) != WEB_DEFAULTS[name]:
                    raise ValueError(f"{name} is for nodes with the protocol dicomweb only")
        elif not self.web_url:
            raise ValueError("web_url must be the address of the DICOMweb service")
        return self

    @model_validator(mode="after")
    def _authentication_is_complete(self) -> WebInput:
        kind = self.web_authentication
        wanted = {
            "web_user": kind in ("basic", "oauth"),
            "web_secret_file": kind != "none",
            "web_token_url": kind == "oauth",
        }
        for name, needed in wanted.items():
            if needed and not getattr(self, name):
                raise ValueError(f"{name} must not be empty for the authentication {kind}")
            if not needed and getattr(self, name):
                raise ValueError(f"{name} does not belong to the authentication {kind}")
        if self.web_scope and kind != "oauth":
            raise ValueError(f"web_scope does not belong to the authentication {kind}")
        if kind == "basic" and ":" in self.web_user:
            raise ValueError("web_user must not hold a colon (RFC 7617)")
        return self


_OF_DIMSE = frozenset({"host", "port", "ae_title"})


def require_by_protocol(schema: JsonDict) -> None:
    """Require what each protocol needs; the rest is filled in where a node speaks DICOMweb."""
    required = schema["required"]
    assert isinstance(required, list)
    schema["required"] = [name for name in required if name not in _OF_DIMSE]
    schema["if"] = {"properties": {"protocol": {"const": "dicomweb"}}, "required": ["protocol"]}
    schema["then"] = {"properties": {"web_url": {"minLength": 1}}, "required": ["web_url"]}
    schema["else"] = {"required": [name for name in required if name in _OF_DIMSE]}


#: What a node has of which nobody speaks.
WEB_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {name: WebInput.model_fields[name].default for name in WEB}
)


def web_access_of(node: Node, secrets: Path) -> WebAccess | None:
    """Return how DICOMweb is spoken with a node, by secrets of this folder; None where it speaks DIMSE."""
    if node.protocol != "dicomweb":
        return None
    return WebAccess(
        qido_url=node.web_qido_url or node.web_url,
        wado_url=node.web_wado_url or node.web_url,
        authentication=cast("Authentication", node.web_authentication),
        user=node.web_user,
        secret_file=str(secrets / node.web_secret_file) if node.web_secret_file else "",
        token_url=node.web_token_url,
        scope=node.web_scope,
        timeout_s=node.web_timeout_s,
    )
