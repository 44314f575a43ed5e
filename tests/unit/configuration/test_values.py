"""Checks of single values, and what is said to be allowed."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy import make_url

from shared.configuration.values import allowed, broker_urls, valid_amqp_url, with_login
from shared.settings import Settings

PASSWORD = "p@ss/w:rd#1?[x]%41 é,"


def test_hosts_of_a_cluster_become_a_url_each():
    # When
    urls = broker_urls("amqps://me:p%2Cw@one:5671,two,[::1]:5673/%2Fdose?heartbeat=5")
    # Then
    assert urls == (
        "amqps://me:p%2Cw@one:5671/%2Fdose?heartbeat=5",
        "amqps://me:p%2Cw@two/%2Fdose?heartbeat=5",
        "amqps://me:p%2Cw@[::1]:5673/%2Fdose?heartbeat=5",
    )


def test_hosts_may_stand_before_parameters_without_a_path():
    assert broker_urls("amqp://[::1],[::2]?heartbeat=5") == (
        "amqp://[::1]?heartbeat=5",
        "amqp://[::2]?heartbeat=5",
    )


@pytest.mark.parametrize(
    "url", ["amqp://one,/", "amqp://,one/", "http://one,two/", "amqp://one:x,two/", "amqp://one:70000,two/"]
)
def test_a_malformed_list_of_hosts_is_refused(url):
    with pytest.raises(ValueError, match=r"expected amqp|URL|missing"):
        valid_amqp_url(url)


@pytest.mark.parametrize(
    "url", ["amqp://rabbit:5672/", "amqp://old:older@rabbit:5672/", "amqp://one:1,two:2/vhost?heartbeat=5"]
)
def test_a_login_reaches_the_broker_whatever_its_characters(url):
    # When
    urls = broker_urls(with_login(url, "me@home", PASSWORD))
    # Then
    for parts in map(urlsplit, urls):
        assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("me@home", PASSWORD)
        assert parts.hostname in {"rabbit", "one", "two"}


def test_a_login_reaches_the_database_whatever_its_characters():
    # When
    url = make_url(with_login("postgresql+psycopg://doseqr@db:5432/doseqr?sslmode=require", "", PASSWORD))
    # Then
    assert (url.username, url.password, url.host, url.database) == ("doseqr", PASSWORD, "db", "doseqr")


def test_a_url_without_other_login_stays_as_it_is():
    assert with_login("amqp://me:a%2Fb@rabbit/", "", "") == "amqp://me:a%2Fb@rabbit/"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("store_port", "a whole number from 1 to 65535"),
        ("dimse_timeout", "a number above 0 to 3600"),
        ("secure_cookies", "true or false"),
        ("retry_pauses", "a JSON list, such as [1.0, 4.0, 15.0]"),
        ("trusted_hosts", 'a JSON list, such as ["NAME"]'),
        ("store_host", ""),
    ],
)
def test_what_a_setting_may_hold_is_documented(setting, text):
    assert allowed(Settings.model_fields[setting]) == text
