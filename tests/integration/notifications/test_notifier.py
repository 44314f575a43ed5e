"""What happens is observed once and sent, whatever mail servers, webhooks and replicas do."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from services.web.notifier.watcher import Watcher, rules_of
from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.text import StoreState
from shared.database.migrate import migrate
from shared.database.models import (
    NotificationAddress,
    NotificationDelivery,
    NotificationMark,
    ScheduleRun,
    User,
)
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from shared.users.accounts import create_user
from tests.contract.test_broker_contract import bury
from tests.support.jobs.notifications import (
    QUICK,
    address_of,
    deliveries,
    delivery_states,
    events,
    notifier,
    notify,
    notifying_settings,
)
from tests.support.jobs.rows import a_query, a_study
from tests.support.jobs.schedules import add_nodes, plan_nightly
from tests.support.processes.preloaded import PreloadedProcess, preloaded
from tests.support.servers.rabbitmq import a_message
from tests.support.servers.receivers import mail_server, webhook
from tests.support.waiting import wait_until

NIGHT = datetime(2024, 11, 5, 6, 30, tzinfo=UTC)


def a_watcher(database: Database, settings: Any, clock: Any = utc_now, states: Any = list) -> Watcher:
    broker = MemoryBroker()
    broker.declare()
    return Watcher(database, broker, states, rules_of(settings), clock, "replica")


def add_user(database: Database, name: str, role: str) -> None:
    with database.write() as session:
        create_user(session, name, role, "correct horse battery", utc_now())


def end_job(database: Database, job_id: str, **values: Any) -> None:
    now = utc_now()
    given = {"status": "completed", "requested_by": "eve", "requested_at": now, "ended_at": now, **values}
    with database.write() as session:
        session.add(a_query(job_id, **given))


def end_run(database: Database, schedule_id: int, due_at: datetime, status: str) -> None:
    with database.write() as session:
        session.add(
            ScheduleRun(
                schedule_id=schedule_id, due_at=due_at, began_at=due_at, ended_at=due_at, status=status
            )
        )


def phases(database: Database) -> list[str]:
    return [event.phase for event in events(database)]


def test_jobs_reach_their_owner_by_the_chosen_ends(database, tmp_path):
    # Given
    settings = notifying_settings(tmp_path, public_url="https://doseqr.example.org")
    add_user(database, "eve", "importer")
    add_user(database, "bob", "viewer")
    with webhook() as hook:
        notify(database, settings, f"{hook.url}/eve", "eve", kinds=["job"], outcomes=["failed"])
        notify(database, settings, f"{hook.url}/bob", "bob", kinds=["job"])
        with notifier(database, settings):
            wait_until(lambda: delivery_states(database) == [] and a_mark(database))
            # When
            end_job(database, "done")
            end_job(database, "broken", status="failed")
            end_job(database, "of-a-schedule", status="failed", schedule_id=1)
            end_job(database, "given-up", status="cancelled")
            wait_until(lambda: delivery_states(database) == ["sent"])
    # Then
    ((path, body),) = hook.posts
    assert (path, body["title"]) == ("/eve", "DoseQR: query of pacs: failed")
    assert body["message"].endswith("https://doseqr.example.org/jobs/broken")


def a_mark(database: Database) -> bool:
    with database.read() as session:
        return session.get(NotificationMark, "ended") is not None


def test_a_recurring_query_is_bad_once_and_well_again(database, tmp_path):
    # Given
    now = [NIGHT]
    watcher = a_watcher(database, notifying_settings(tmp_path), lambda: now[0])
    schedule = plan_nightly(database, NIGHT)
    watcher.tick()
    # When
    for day, status in enumerate(["completed", "incomplete", "failed", "skipped", "completed", "completed"]):
        now[0] = NIGHT + timedelta(days=day, minutes=1)
        end_run(database, schedule.id, now[0], status)
        watcher.tick()
        watcher.tick()
    # Then
    assert phases(database) == ["began", "over"]
    assert events(database)[1].details["lasted_s"] == 3 * 86_400
    assert events(database)[1].details["failures"] == 2


def test_runs_of_before_the_first_start_are_history(database, tmp_path):
    # Given
    schedule = plan_nightly(database, NIGHT)
    end_run(database, schedule.id, NIGHT - timedelta(minutes=1), "failed")
    # When
    a_watcher(database, notifying_settings(tmp_path), lambda: NIGHT).tick()
    # Then
    assert events(database) == []


def test_a_store_that_fills_and_refuses_is_two_causes(database, tmp_path):
    # Given
    settings = notifying_settings(tmp_path, store_low_bytes=1000)
    states = [StoreState(objects_free_bytes=2000)]
    watcher = a_watcher(database, settings, states=lambda: states)
    watcher.tick()
    # When
    for state in (
        StoreState(objects_free_bytes=900),
        StoreState(objects_free_bytes=10, problem="no space"),
        StoreState(objects_free_bytes=5000),
    ):
        states[:] = [state]
        watcher.tick()
    states.clear()
    watcher.tick()
    # Then
    assert phases(database) == ["began", "began", "over", "over"]
    assert [event.details["refuses"] for event in events(database)] == [False, True, False, True]


def test_a_station_that_falls_silent_is_notified_once(database, tmp_path):
    # Given: six studies with a dose report, then five without.
    now = [utc_now()]
    add_nodes(database)
    watcher = a_watcher(database, notifying_settings(tmp_path), lambda: now[0])
    day, none = now[0].date() - timedelta(days=20), {"decision": "drop", "reason": "no_dose_object"}
    with database.write() as session:
        session.add(a_query("q1", requested_at=now[0]))
        session.flush()
        for number in range(11):
            given = {"study_date": f"{day + timedelta(days=number):%Y%m%d}", "station_name": "CT1"}
            session.add(a_study(f"1.{number}", "q1", **given, **(none if number > 5 else {})))
    # When
    watcher.tick()
    with database.write() as session:
        report = {"study_date": f"{day + timedelta(days=12):%Y%m%d}", "station_name": "CT1"}
        session.add(a_study("1.20", "q1", **report))
    watcher.tick()
    for _ in range(2):
        now[0] += timedelta(hours=1)
        watcher.tick()
    # Then
    assert phases(database) == ["began", "over"]
    began = events(database)[0].details
    assert (began["station"], began["type"], began["studies"]) == ("CT1", "CT", 5)
    assert began["since"] == str(day + timedelta(days=6))


def test_dead_letters_are_notified_and_a_broker_that_is_away_is_not(database, tmp_path):
    # Given
    broker = MemoryBroker()
    broker.declare()
    add_user(database, "eve", "admin")
    settings = notifying_settings(tmp_path)
    notify(database, settings, "json://127.0.0.1:9", "eve")
    watcher = Watcher(database, broker, list, rules_of(settings), utc_now, "replica")
    watcher.tick()
    bury(broker, a_message("m1"))
    watcher.tick()
    # When
    broker.close()
    end_job(database, "done")
    watcher.tick()
    # Then: what the database knows is observed all the same.
    assert phases(database) == ["began", "ended"]


def test_what_was_sent_while_the_database_is_away_is_sent_once(mortal_postgres, tmp_path):
    # Given
    url = mortal_postgres.url.replace("postgresql://", "postgresql+psycopg://")
    database = Database(url)
    migrate(database)
    settings = notifying_settings(tmp_path, notification_timeout=20.0)
    with webhook() as hook:
        notify(database, settings, hook.url)
        with notifier(database, settings, pace=replace(QUICK, recording_s=60.0)):
            wait_until(lambda: a_mark(database))
            hook.free.clear()
            end_job(database, "done")
            assert hook.reached.wait(20)
            # When
            mortal_postgres.stop()
            hook.free.set()
            time.sleep(0.5)
            mortal_postgres.start()
            wait_until(lambda: states_or_none(database) == ["sent"])
    # Then
    assert hook.titles == ["DoseQR: query of pacs: completed"]
    database.close()


def states_or_none(database: Database) -> list[str] | None:
    try:
        return delivery_states(database)
    except DatabaseAwayError:
        return None


def test_an_observation_by_many_replicas_is_one_event(database, tmp_path):
    # Given: the lease of one replica has ended, and another observes beside it.
    settings = notifying_settings(tmp_path, store_low_bytes=1000)
    states = [StoreState(objects_free_bytes=900)]
    schedule = plan_nightly(database, NIGHT)
    add_user(database, "eve", "admin")
    notify(database, settings, "json://127.0.0.1:9", "eve")
    watchers = [a_watcher(database, settings, states=lambda: states) for _ in range(3)]
    for watcher in watchers:
        watcher.tick()
    end_run(database, schedule.id, utc_now(), "failed")
    end_job(database, "done")

    # When
    def observe(watcher: Watcher) -> None:
        for part in (watcher._ended, watcher._store):
            part()

    threads = [threading.Thread(target=observe, args=(watcher,)) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    assert Counter(event.kind for event in events(database)) == {"store": 1, "schedule": 1, "job": 1}
    assert delivery_states(database) == ["waiting"] * 3


def test_a_server_that_hangs_does_not_hold_up_the_others(sqlite_url, tmp_path):
    # Given
    settings = notifying_settings(tmp_path, notification_timeout=30.0)
    database = Database(sqlite_url)
    with mail_server("hang") as hanging, webhook() as hook:
        for name in "abcdef":
            notify(database, settings, f"{hanging.url}&name={name}", name=name)
        notify(database, settings, hook.url)
        with notifier(database, settings):
            wait_until(lambda: a_mark(database))
            # When
            end_job(database, "done")
            assert hanging.reached.wait(60)
            # Then
            wait_until(lambda: "sent" in delivery_states(database), 60)
        # Stopping gives back what was cut short: it is no attempt.
        assert {delivery.state for delivery in deliveries(database)} == {"waiting", "sent"}
        assert {delivery.attempts for delivery in deliveries(database)} <= {0, 1}
    database.close()


def test_what_cannot_be_sent_is_given_up_with_an_entry(sqlite_url, tmp_path):
    # Given
    settings = notifying_settings(tmp_path)
    database = Database(sqlite_url)
    with mail_server("reject") as server:
        address_id = notify(database, settings, server.url)
        with notifier(database, settings):
            wait_until(lambda: a_mark(database))
            # When
            end_job(database, "done")
            wait_until(lambda: delivery_states(database) == ["failed"])
    # Then
    (delivery,) = deliveries(database)
    assert delivery.attempts == 3
    address = address_of(database, address_id)
    assert "550" in address.problem == delivery.detail
    assert address.failed_at is not None
    database.close()


def test_a_digest_is_one_message_about_all(sqlite_url, tmp_path):
    # Given
    settings = notifying_settings(tmp_path)
    database = Database(sqlite_url)
    with webhook() as hook:
        notify(database, settings, hook.url, digest_at="07:00", time_zone="Europe/Berlin")
        with notifier(database, settings):
            wait_until(lambda: a_mark(database))
            end_job(database, "one")
            end_job(database, "two", status="failed")
            wait_until(lambda: delivery_states(database) == ["waiting"] * 2)
            assert {delivery.due_at.minute for delivery in deliveries(database)} == {0}
            assert hook.posts == []
            # When: it is seven.
            with database.write() as session:
                session.execute(update(NotificationDelivery).values(due_at=utc_now()))
            wait_until(lambda: delivery_states(database) == ["sent"] * 2)
    # Then
    assert hook.titles == ["DoseQR: daily digest, 2 events"]
    database.close()


def test_nobody_is_notified_who_is_paused_disabled_or_demoted(sqlite_url, tmp_path):
    # Given
    settings = notifying_settings(tmp_path)
    database = Database(sqlite_url)
    add_user(database, "eve", "admin")
    address_id = notify(database, settings, "json://127.0.0.1:9", "eve")
    watcher = a_watcher(database, settings)
    watcher.tick()
    changes = [
        update(NotificationAddress).values(paused_at=NIGHT),
        update(NotificationAddress).values(paused_at=None),
        update(User).values(disabled_at=NIGHT),
        update(User).values(disabled_at=None, role="viewer"),
    ]
    numbers = []
    # When
    for number, change in enumerate(changes):
        with database.write() as session:
            session.execute(change)
        end_job(database, f"job-{number}", ended_at=utc_now())
        watcher.tick()
        numbers.append(len(deliveries(database)))
    # Then: a viewer is still notified of jobs.
    assert (address_id, numbers) == (1, [0, 1, 1, 2])
    database.close()


def test_replicas_killed_at_random_notify_once(sqlite_url, tmp_path):
    # Given
    settings = notifying_settings(tmp_path)
    database = Database(sqlite_url)
    paths = [f"/{number}" for number in range(4)]
    rng, kills = random.Random(7), 0
    with webhook() as hook:
        for path in paths:
            notify(database, settings, hook.url + path)
        replicas = [replica(sqlite_url, tmp_path) for _ in range(3)]
        try:
            wait_until(lambda: a_mark(database))
            # When
            for number in range(5):
                end_job(database, f"job-{number}")
                time.sleep(rng.uniform(0.2, 0.8))
                victim = replicas.pop(rng.randrange(len(replicas)))
                victim.send_signal(signal.SIGKILL)
                victim.wait()
                kills += 1
                replicas.append(replica(sqlite_url, tmp_path))
            wait_until(lambda: delivery_states(database) == ["sent"] * 20, 60)
        finally:
            for process in replicas:
                process.kill()
                process.wait()
    # Then: one event of each job, at each address; twice at most where a replica died in between.
    assert Counter(event.key for event in events(database)).most_common(1)[0][1] == 1
    got = Counter(
        (path, f"job-{number}")
        for path, body in hook.posts
        for number in range(5)
        if f"job-{number} of" in body["message"]
    )
    assert len(got) == 20
    assert max(got.values()) <= 1 + kills
    assert len(hook.posts) <= 20 + kills * 2
    database.close()


def replica(url: str, folder: Path) -> PreloadedProcess:
    module, out = "tests.support.jobs.notifications", folder / f"{uuid.uuid4().hex}.out"
    return preloaded().start(module, [url, str(folder)], os.environ, out, out)
