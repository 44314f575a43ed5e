"""The banner of an open page while broker and database are away, as a browser shows it.

One web service over a broker and a database of its own serves the whole test: both are slow to start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from services.cli.local.private_rabbitmq import PrivateNode
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.database.session import Database
from tests.e2e.test_web_journeys import log_in
from tests.support.services.in_process import System
from tests.support.services.web import add_people

#: Within this time the banner has to be there, and has to be gone, in milliseconds.
BANNER_MS = 5000


class Server:
    """The database server as its administrator changes it under running programs."""

    def __init__(self, connection: psycopg.Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def change(self, change: str) -> None:
        """Change the database, and end all connections to it: what holds then holds for everybody."""
        self._connection.execute(f'ALTER DATABASE "{self._name}" {change}')
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._name]
        )


@pytest.fixture
def server(postgres_server: str, postgres_url: str) -> Iterator[Server]:
    """The server of `postgres_url`."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield Server(connection, postgres_url.rpartition("/")[2])


@pytest.fixture
def web(
    own_node: PrivateNode, own_prefix: str, postgres_url: str, make_system: Callable[..., System]
) -> Iterator[System]:
    """A web service, to which no worker belongs."""
    broker, database = RabbitBroker(own_node.url, own_prefix), Database(postgres_url)
    broker.declare()
    add_people(database)
    yield make_system(broker, database)
    broker.close()
    database.close()


def test_the_banner_names_what_is_away_and_goes_by_itself(
    web: System, own_node: PrivateNode, server: Server, page: Page
) -> None:
    # Given
    web.start("web")
    log_in(page, f"http://127.0.0.1:{web.settings.web_port}", "admin")
    banner = page.locator("#banner")
    expect(banner).to_contain_text("no query worker listens", timeout=BANNER_MS)

    # When
    own_node.kill()
    server.change("SET default_transaction_read_only = on")

    # Then
    expect(banner).to_contain_text("The message broker", timeout=BANNER_MS)
    expect(banner).to_contain_text("The database takes no writes: it is set to read-only.", timeout=BANNER_MS)
    expect(banner).to_contain_text("doseqr check")

    # When
    server.change("ALLOW_CONNECTIONS false")

    # Then
    expect(banner).to_contain_text("The database is away", timeout=BANNER_MS)
    expect(banner.locator("li")).to_have_count(1)

    # When
    server.change("RESET default_transaction_read_only")
    server.change("ALLOW_CONNECTIONS true")
    own_node.start()

    # Then
    expect(banner).to_contain_text("no query worker listens", timeout=BANNER_MS)
    expect(banner.locator("li", has_text="database")).to_have_count(0)
    expect(banner.locator("li", has_text="The message broker")).to_have_count(0)
