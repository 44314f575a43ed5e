"""The web service as a whole: its first start, its port, its end."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from urllib.parse import urlencode

import pytest

from services.web.main import start
from shared.clock import utc_now
from shared.errors import PermanentError
from shared.lifecycle import Lifecycle
from shared.users.accounts import check_password
from tests.support.services.web import PASSWORD, add_people


def test_the_first_start_prints_a_one_time_password(system, capsys):
    # When
    system.start("web")
    # Then
    printed = re.search(r"Log in as admin with the one-time password (\S+)", capsys.readouterr().err)
    assert printed is not None
    with system.database.read() as session:
        user = check_password(session, "admin", printed[1], utc_now())
    assert user is not None
    assert user.must_change_password


def test_a_second_start_prints_no_password(system, capsys):
    # Given
    system.start("web")
    system.stop()
    capsys.readouterr()
    # When
    system.start("web")
    # Then
    captured = capsys.readouterr()
    assert "one-time password" not in captured.out + captured.err


def test_a_port_in_use_is_reported(system):
    # Given
    with socket.socket() as other:
        other.bind((system.settings.web_host, system.settings.web_port))
        other.listen()
        # Then
        with pytest.raises(PermanentError, match=r"cannot listen .* in use"), Lifecycle() as lifecycle:
            start(system.settings, system.broker, system.database, lifecycle)


def test_the_service_ends_with_a_stream_open(system):
    # Given
    add_people(system.database)
    system.start("web")
    connection = http.client.HTTPConnection(system.settings.web_host, system.settings.web_port, timeout=60)
    connection.request("GET", "/health/ready")
    assert connection.getresponse().read()
    stream = _open_stream(connection)
    # When
    system.stop()
    # Then
    assert b"event:" not in stream.read()
    connection.close()
    assert not [thread for thread in threading.enumerate() if thread.name in ("http", "live")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((system.settings.web_host, system.settings.web_port), 5)


def _open_stream(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Log in by hand and return an open stream of events whose first line has come."""
    connection.request("GET", "/login")
    response = connection.getresponse()
    token = re.search(r'name="csrf-token" content="([^"]+)"', response.read().decode())
    assert token is not None
    form = urlencode({"csrf_token": token[1], "name": "viewer", "password": PASSWORD})
    headers = {"Cookie": _cookie(response), "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", form, headers)
    response = connection.getresponse()
    response.read()
    connection.request("GET", "/live?follow=q1", headers={"Cookie": _cookie(response)})
    stream = connection.getresponse()
    assert stream.readline() == b"retry: 1000\n"
    return stream


def _cookie(response: http.client.HTTPResponse) -> str:
    return (response.getheader("Set-Cookie") or "").partition(";")[0]
