"""The page in a test: an app over the in-memory broker and SQLite, users of each role, their forms."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import event
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from services.web.app import components_of, create_app
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Delivery
from shared.clock import utc_now
from shared.contract.messages import Command
from shared.database.models import Node
from shared.database.session import Database
from shared.messaging.codec import decode_command
from shared.messaging.publisher import Publisher
from shared.nodes.nodes import add_node, parse_node
from shared.settings import Settings
from shared.users import passwords
from shared.users.accounts import create_user
from tests.support.servers.databases import TEMPLATES, prepare
from tests.support.services.compiled_templates import share_compiled_templates
from tests.support.waiting import wait_until

PASSWORD = "correct horse battery"
ROLES = ("viewer", "importer", "admin")

_TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


class RememberedRule(Rule):
    """A rule that an earlier test compiled: to compile those of all addresses takes most of an app."""

    #: None of our converters depends on the map of its app.
    _compiled: ClassVar[dict[object, dict[str, Any]]] = {}

    def compile(self) -> None:
        """Take what it compiles to from an equal rule."""
        key = (self.rule, self.host, self.subdomain, self.merge_slashes, str(self.defaults))
        if key not in self._compiled:
            super().compile()
            made = {name: vars(self)[name] for name in ("_parts", "_trace", "_converters", "arguments")}
            builders = {name: vars(self)[name].__func__ for name in ("_build", "_build_unknown")}
            self._compiled[key] = made | builders
        vars(self).update(self._compiled[key])
        for name in ("_build", "_build_unknown"):
            setattr(self, name, MethodType(self._compiled[key][name], self))


Flask.url_rule_class = RememberedRule
share_compiled_templates(os.environ.get(TEMPLATES))


class Person:
    """A user with a browser: sends the forms of the page with their token."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, address: str, **options: Any) -> TestResponse:
        return self.client.get(address, **options)

    def text(self, address: str) -> str:
        response = self.get(address)
        assert response.status_code == 200, response.status
        return response.text

    def token(self, address: str = "") -> str:
        """Return the token in a page; without an address one of the session, as any page would hold it."""
        if not address:
            return self._token_of_session()
        found = _TOKEN.search(self.client.get(address, follow_redirects=True).text)
        assert found is not None
        return found[1]

    def _token_of_session(self) -> str:
        # A page for each form that is sent would take most of the time of its test.
        application = self.client.application
        with self.client.session_transaction() as session:
            if "csrf_token" not in session:
                session["csrf_token"] = secrets.token_hex(20)
            value = session["csrf_token"]
        assert application.secret_key is not None
        return str(URLSafeTimedSerializer(application.secret_key, salt="wtf-csrf-token").dumps(value))

    def post(self, address: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return self.client.post(address, data={"csrf_token": self.token(), **(data or {})}, **options)

    def log_in(self, name: str, password: str = PASSWORD, **options: Any) -> TestResponse:
        return self.post("/login", {"name": name, "password": password}, **options)


class Site:
    """The app, its components, and the workers that a test starts."""

    def __init__(self, settings: Settings, broker: MemoryBroker, database: Database) -> None:
        self.settings, self.broker, self.database = settings, broker, database
        #: The time at which the page's clock stands; None: it goes.
        self.stands_at: datetime | None = None
        self.app: Flask = create_app(settings, broker, database, lambda: self.stands_at or utc_now())
        self.components = components_of(self.app)
        # Read afresh each time: tests change which workers listen.
        self.components.service_status._max_age_s = 0.0
        self.components.live.start()
        wait_until(lambda: self.components.live._subscription is not None)
        self.publisher = Publisher(broker, "test")
        self.commands: list[tuple[str, Command]] = []

    def person(self, name: str = "") -> Person:
        """Return a user; logged in if a name is given."""
        person = Person(self.app.test_client())
        if name:
            assert person.log_in(name).status_code == 302
        return person

    def listen(self, *queues: str) -> None:
        """Start workers that take commands and do nothing else."""
        for queue in queues:
            self.broker.consume(queue, self._taken, workers=1)

    def listen_all(self) -> None:
        self.listen("echo", "query", "query-tasks", "query-profile", "retrieve", "retrieve-tasks", "store")

    def _taken(self, delivery: Delivery) -> None:
        envelope, command = decode_command(delivery.message)
        self.commands.append((envelope.id, command))
        delivery.ack()

    def command(self) -> tuple[str, Any]:
        """Return the id and the payload of the first command that a worker took."""
        wait_until(lambda: bool(self.commands))
        return self.commands[0]

    def add(self, *rows: Any) -> None:
        """Write rows as the services would."""
        for row in rows:
            with self.database.write() as session:
                session.add(row)

    def close(self) -> None:
        self.components.live.close()
        self.broker.close()


def a_node(database: Database, kind: str, name: str, **values: Any) -> Node:
    """Add a node."""
    given = {
        "kind": kind,
        "name": name,
        "host": "127.0.0.1",
        "port": 104,
        "ae_title": name.upper()[:16],
        **values,
    }
    with database.write() as session:
        return add_node(session, parse_node(given), utc_now())


def add_people(database: Database) -> None:
    """Add a viewer, an importer and an administrator of these names."""
    for role in ROLES:
        with database.write() as session:
            create_user(session, role, role, PASSWORD, utc_now())


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL that is sent meanwhile, without the beginnings and ends of transactions."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


#: Each test logs in; the costly hash is that of the tests of passwords.
CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
COSTLY_HASHER = passwords._HASHER
passwords._HASHER = CHEAP_HASHER


@pytest.fixture(scope="session")
def peopled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one user of each role and one node of each kind, of which each test gets a copy."""
    path = tmp_path_factory.mktemp("peopled") / "peopled.sqlite"
    database = Database(f"sqlite:///{path}")
    prepare(database)
    add_people(database)
    a_node(database, "remote", "pacs")
    a_node(database, "store", "archive")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture
def site(test_settings: Settings, peopled_file: Path, tmp_path: Path) -> Iterator[Site]:
    """A page with one user of each role and one node of each kind; no service listens yet."""
    broker = MemoryBroker()
    broker.declare()
    database = Database(f"sqlite:///{shutil.copy(peopled_file, tmp_path / 'site.sqlite')}")
    made = Site(test_settings, broker, database)
    yield made
    made.close()
    database.close()
