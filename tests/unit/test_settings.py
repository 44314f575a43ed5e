"""Settings: no piece of a password in any text, and the day of the site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest

from shared.broker.rabbitmq.connection import parse_address
from shared.database.session import Database
from shared.errors import SettingsError
from shared.settings import Settings, load, sources

#: Passwords whose characters mean something in a URL; each piece of letters is recognizable.
PASSWORDS = [
    "secretA@secretB/secretC:secretD#1",
    "secretA/secretB",
    "secretA#secretB",
    "secretA?secretB",
    "secretA[secretB",
    "secretA]secretB",
    "secretA@secretB",
    "secretA:secretB",
    "secretA\N{CARE OF}secretB",
    "12/secretB",
    "12#secretB",
    "secretA%secretB",
    "secretA\\secretB",
    "secretA secretB",
]
URLS = [
    ("DOSEQR_AMQP_URL", "amqp://doseqr:{}@127.0.0.1:1/"),
    ("DOSEQR_DATABASE_URL", "postgresql+psycopg://doseqr:{}@127.0.0.1:1/doseqr"),
    ("DOSEQR_HANDOVER_URL", "https://doseqr:{}@127.0.0.1:1/importer"),
]


@contextmanager
def suppress_and_keep(texts: list[str], variable: str) -> Iterator[None]:
    """Keep the text of a refusal, which names the variable and what to do."""
    try:
        yield
    except SettingsError as refusal:
        texts.append(str(refusal))
    assert all(variable in text for text in texts if "://" not in text)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(("variable", "url"), URLS, ids=[variable for variable, _ in URLS])
def test_no_text_repeats_a_piece_of_a_password(tmp_path, monkeypatch, variable, url, password):
    # Given
    monkeypatch.setenv("DOSEQR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(variable, url.format(password))
    # When
    texts: list[str] = []
    with suppress_and_keep(texts, variable):
        settings = load()
        if variable == "DOSEQR_AMQP_URL":
            texts.append(parse_address(settings.amqp_url).description)
        if variable == "DOSEQR_DATABASE_URL":
            database = Database(settings.database)
            texts.append(database.description)
            database.close()
    # Then
    for piece in ("secretA", "secretB", "secretC", "secretD", "12"):
        assert piece not in "".join(texts).replace("127.0.0.1", "").replace("%2F", "")


@pytest.mark.parametrize(
    "url",
    [
        "amqp://doseqr:p%40ss%2Fw%23@rabbit:5672/a%2Fb",
        "amqp://doseqr:pass@rabbit:5672/%2f?heartbeat=5",
        "amqps://rabbit",
        "memory://",
    ],
)
def test_an_encoded_password_is_taken_as_it_is(tmp_path, url):
    assert Settings(data_dir=tmp_path, amqp_url=url).amqp_url == url


def test_a_password_in_the_parameters_of_a_database_is_not_shown():
    # Given
    database = Database("postgresql+psycopg://doseqr@db/doseqr?password=secretA&sslmode=require")
    # Then
    assert "secretA" not in database.description
    assert "db/doseqr" in database.description


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://doseqr:secretA:5432/doseqr", "postgresql+psycopg:secretA"]
)
def test_a_database_url_without_form_is_named_not_repeated(url):
    # When
    with pytest.raises(SettingsError, match="DOSEQR_DATABASE_URL") as refused:
        Database(url)
    # Then
    assert "secretA" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("time_zone", "day"),
    [
        ("Pacific/Auckland", date(2026, 11, 27)),
        ("America/Los_Angeles", date(2026, 11, 26)),
        ("UTC", date(2026, 11, 26)),
    ],
)
def test_today_is_the_day_of_the_site(tmp_path, time_zone, day):
    # Given
    settings = Settings(data_dir=tmp_path, time_zone=time_zone)
    # Then
    assert settings.day_of(datetime(2026, 11, 26, 20, 0, tzinfo=UTC)) == day


def test_without_a_time_zone_today_is_that_of_the_machine(tmp_path):
    # Given
    now = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)
    # Then
    assert Settings(data_dir=tmp_path).day_of(now) == now.astimezone().date()


def test_a_time_zone_that_does_not_exist_is_refused(monkeypatch):
    # Given
    monkeypatch.setenv("DOSEQR_TIME_ZONE", "Mars/Olympus")
    # Then
    with pytest.raises(SettingsError, match=r"DOSEQR_TIME_ZONE.*Europe/Berlin"):
        load()


def test_all_malformed_settings_are_named_with_value_and_form(tmp_path, monkeypatch):
    # Given
    monkeypatch.setenv("DOSEQR_STORE_PORT", "seventy")
    monkeypatch.setenv("DOSEQR_RETRY_PAUSES", "1,2")
    monkeypatch.setenv("DOSEQR_STORE_AE_TITLE", "A TITLE OF TOO MANY LETTERS")
    monkeypatch.setenv("DOSEQR_AMQP_PASSWORD_FILE", str(tmp_path / "absent"))
    # When
    with pytest.raises(SettingsError) as refused:
        load()
    # Then
    text = str(refused.value)
    assert "DOSEQR_STORE_PORT: 'seventy' is refused: " in text
    assert "expected a whole number from 1 to 65535" in text
    assert "DOSEQR_RETRY_PAUSES: '1,2' is refused: " in text
    assert "expected a JSON list, such as [1.0, 4.0, 15.0]" in text
    assert "DOSEQR_STORE_AE_TITLE: 'A TITLE OF TOO MANY LETTERS' is refused: " in text
    assert "DOSEQR_AMQP_PASSWORD_FILE: " in text


def test_secrets_come_from_files_and_are_in_no_text(tmp_path, monkeypatch):
    # Given
    for name in ("amqp", "database"):
        (tmp_path / name).write_text(f"secret/{name}#1\n")
        monkeypatch.setenv(f"DOSEQR_{name.upper()}_PASSWORD_FILE", str(tmp_path / name))
    monkeypatch.setenv("DOSEQR_AMQP_URL", "amqp://doseqr@rabbit/")
    monkeypatch.setenv("DOSEQR_DATABASE_URL", "postgresql+psycopg://doseqr@db/doseqr")
    # When
    settings = load()
    # Then
    assert settings.broker_url == "amqp://doseqr:secret%2Famqp%231@rabbit/"
    assert settings.database == "postgresql+psycopg://doseqr:secret%2Fdatabase%231@db/doseqr"
    assert "secret/" not in repr(settings)
    assert "secret%2F" not in repr(settings)
    assert sources(settings)["amqp_password"] == "file"


def test_a_short_session_key_is_refused_and_not_repeated(monkeypatch):
    # Given
    monkeypatch.setenv("DOSEQR_SESSION_KEY", "secretA")
    # When
    with pytest.raises(SettingsError, match=r"DOSEQR_SESSION_KEY: has fewer than 64 characters") as refused:
        load()
    # Then
    assert "secretA" not in str(refused.value)
