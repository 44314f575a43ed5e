"""Tables that the web service owns: nodes, users, API tokens, and the audit trail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract.json_types import JsonDocument
from shared.database.models.base import Base
from shared.database.models.pause import Pausable


class Node(Pausable, Base):
    """A remote node (SCP of C-FIND and C-MOVE) or a store node (SCP of C-STORE)."""

    __tablename__ = "nodes"
    __table_args__ = (
        CheckConstraint("kind IN ('remote', 'store')", name="kind"),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(Integer)
    ae_title: Mapped[str] = mapped_column(String(16))
    #: The title we call from; empty: the store's own (DOSEQR_STORE_AE_TITLE).
    calling_ae_title: Mapped[str] = mapped_column(String(16), default="")
    #: Associations at once and requests a minute (none: no limit), over all services together.
    max_associations: Mapped[int] = mapped_column(Integer, default=4, server_default="4")
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    #: Hours of the day in which it takes requests ("18:00-06:00,12:00-13:00"; empty: always), and the
    #: time zone of the IANA database (empty: the server's).
    hours: Mapped[str] = mapped_column(String(200), default="", server_default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="", server_default="")
    #: How objects come from it: it sends them to the store node (move), or we fetch and hand them on (get).
    retrieve_by: Mapped[str] = mapped_column(String(8), default="move", server_default="move")
    #: What is retrieved of objects whose header carries the dose: whole, or headers.
    retrieve_content: Mapped[str] = mapped_column(String(8), default="whole", server_default="whole")
    #: How a store node proves what it got: what can be had (auto), or storage commitment (commitment).
    verify_by: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    #: TLS: off, on, or on whatever name its certificate gives (any-name); then files of DOSEQR_TLS_DIR:
    #: what it has to show, and the certificate and key that are shown to it.
    tls: Mapped[str] = mapped_column(String(16), default="off", server_default="off")
    tls_ca: Mapped[str] = mapped_column(String(100), default="", server_default="")
    tls_certificate: Mapped[str] = mapped_column(String(100), default="", server_default="")
    tls_key: Mapped[str] = mapped_column(String(100), default="", server_default="")
    #: dimse, or dicomweb: then its addresses, and how requests are authenticated: none, basic, bearer, oauth;
    #: the secret is in a file of DOSEQR_SECRETS_DIR.
    protocol: Mapped[str] = mapped_column(String(16), default="dimse", server_default="dimse")
    web_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    web_qido_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    web_wado_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    web_authentication: Mapped[str] = mapped_column(String(16), default="none", server_default="none")
    web_user: Mapped[str] = mapped_column(String(128), default="", server_default="")
    web_secret_file: Mapped[str] = mapped_column(String(100), default="", server_default="")
    web_token_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    web_scope: Mapped[str] = mapped_column(String(500), default="", server_default="")
    #: Seconds for a response; none: DOSEQR_DIMSE_TIMEOUT.
    web_timeout_s: Mapped[int | None] = mapped_column(Integer)
    #: For whom it is (shared/users/node_scope.py); empty: for those alone who may use all nodes.
    group: Mapped[str] = mapped_column("node_group", String(64), default="", server_default="")
    created_at: Mapped[datetime]
    #: Removed nodes stay for the jobs that name them; their name is freed.
    removed_at: Mapped[datetime | None]


class User(Base):
    """Somebody who may log in; roles: viewer, importer, admin."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'importer', 'admin')", name="role"),
        Index("ix_users_oidc", "oidc_issuer", "oidc_subject", unique=True),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str]
    must_change_password: Mapped[bool] = mapped_column(Boolean, default=False)
    #: When a one-time password is no longer taken.
    password_expires_at: Mapped[datetime | None]
    #: Replaced at log-out and with password, role or access: sessions that hold an older one end.
    session_token: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    #: The groups of nodes that a viewer or importer may use; none: all nodes.
    node_groups: Mapped[list[str] | None]
    #: Secret of the codes (RFC 6238), encrypted; the step of the last one that was accepted; since when the
    #: log-in requires them.
    totp_secret: Mapped[str] = mapped_column(default="", server_default="")
    totp_last_step: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    second_factor_since: Mapped[datetime | None]
    #: Whom an OpenID provider knows (OpenID Connect Core, 2); none for a local account.
    oidc_issuer: Mapped[str | None] = mapped_column(String(255))
    oidc_subject: Mapped[str | None] = mapped_column(String(255))


class RecoveryCode(Base):
    """A code that stands in for the second factor once; only its hash is stored."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: SHA-256 of the code without its dashes, in hexadecimal digits.
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]


class ApiToken(Base):
    """A bearer token of the HTTP API; scopes: read, import, admin. Only its hash is stored."""

    __tablename__ = "api_tokens"
    __table_args__ = (CheckConstraint("scope IN ('read', 'import', 'admin')", name="scope"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    #: The user in whose name it acts; it may never do more than its owner's role allows.
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    scope: Mapped[str] = mapped_column(String(16))
    #: SHA-256 of the token, in hexadecimal digits.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ApiRequest(Base):
    """A request with an Idempotency-Key, and the response that a repetition gets."""

    __tablename__ = "api_requests"

    token_id: Mapped[int] = mapped_column(
        ForeignKey("api_tokens.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    #: SHA-256 of the key, and of method, path and body.
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)
    #: None while the first request is being handled.
    status_code: Mapped[int | None] = mapped_column(Integer)
    location: Mapped[str] = mapped_column(default="")
    body: Mapped[str] = mapped_column(default="")


class AuditEntry(Base):
    """Who did what, and from where; no patient data."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(64), index=True)
    user: Mapped[str] = mapped_column(String(64), default="")
    #: Name of the API token; empty for what was done on the page.
    token: Mapped[str] = mapped_column(String(64), default="")
    remote_address: Mapped[str] = mapped_column(String(64), default="")
    details: Mapped[JsonDocument] = mapped_column(default=dict)


class Comparison(Base):
    """A comparison of a remote node with the store or a second node: the queries whose results it compares.

    They are ordinary jobs, and may not have begun yet.
    """

    __tablename__ = "comparisons"
    __table_args__ = (Index("ix_comparisons_requested", "requested_at", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    left_query: Mapped[str] = mapped_column(String(64))
    #: None: the store.
    right_query: Mapped[str | None] = mapped_column(String(64))
    left_name: Mapped[str] = mapped_column(String(64))
    right_name: Mapped[str] = mapped_column(String(64))
    requested_by: Mapped[str] = mapped_column(String(128), default="")
    requested_at: Mapped[datetime]
