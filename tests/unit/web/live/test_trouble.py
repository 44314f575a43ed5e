"""The banner of every page: what is wrong with the installation, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import make_url

from services.web.live.trouble import Trouble, low_store
from shared.clock import utc_now
from shared.contract.text import StoreState
from shared.database.inspection import write_refusal
from shared.database.models.pause import Pause
from shared.database.session import Database
from tests.support.jobs.rows import a_query, a_retrieve
from tests.support.services.web import Site


def test_the_banner_names_what_is_wrong_and_what_to_do(site: Site):
    # Given
    waiting = {"status": "running", "remote_name": "far pacs", "next_try_at": utc_now()}
    paused = Pause("ada", utc_now(), "pause-1").to_json()
    site.add(
        a_query("q1", **waiting),
        a_query("q2", **waiting | {"remote_name": "other", "paused": paused}),
        a_query("q3"),
        a_retrieve("r1", "q3", **waiting),
    )
    person = site.person("viewer")
    # When
    shown = person.text("/banner")
    # Then
    assert "The node far pacs does not respond; 2 jobs wait for it" in shown
    assert "doseqr echo &#39;far pacs&#39;" in shown
    assert "doseqr serve query" in shown
    assert "other" not in shown
    assert "doseqr serve query" in person.text("/jobs")


def test_nothing_is_shown_where_nothing_is_wrong(site: Site):
    site.listen_all()
    assert site.person("viewer").text("/banner").strip() == ""
    assert site.person().get("/banner").status_code in (302, 401)


def test_a_store_is_nearly_full_before_it_is_full():
    assert low_store([StoreState(objects_free_bytes=10 << 30)], 5 << 30) == []
    assert low_store([StoreState(objects_free_bytes=1, problem="full")], 5 << 30) == []
    found = low_store(
        [StoreState(objects_free_bytes=10 << 30), StoreState(objects_free_bytes=3 << 29)], 5 << 30
    )
    assert "1.5 GiB are left" in found[0].text


def test_a_server_that_takes_no_writes_is_noticed(postgres_url: str):
    # Given
    writable = Database(postgres_url)
    assert write_refusal(writable) == ""
    writable.close()
    url = make_url(postgres_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    read_only = Database(url.render_as_string(hide_password=False))
    # When
    found = write_refusal(read_only)
    texts = [complaint.text for complaint in Trouble(read_only, max_age_s=0).complaints()]
    read_only.close()
    # Then
    assert found == "it is set to read-only"
    assert len(texts) == 1


def test_a_file_that_takes_no_writes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Given: root may write what its mode forbids, so the system is asked in its place
    file = tmp_path / "doseqr.sqlite"
    file.touch()
    database = Database(f"sqlite:///{file}")
    assert write_refusal(database) == ""
    # When
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != file)
    in_file = write_refusal(database)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    in_folder = write_refusal(database)
    database.close()
    # Then
    assert in_file == f"its file {file} is read-only"
    assert in_folder == f"its folder {tmp_path} is read-only"
