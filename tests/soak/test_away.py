"""The long form: broker and database away for a minute, the PACS for five."""

from __future__ import annotations

import pytest

from tests.e2e.away import without_broker, without_database, without_pacs

MINUTE_S = 60.0

pytestmark = pytest.mark.timeout(900)


def test_jobs_go_on_after_the_broker_was_away_for_a_minute(tmp_path, own_node, own_prefix, scripted_pacs):
    without_broker(tmp_path, own_node, own_prefix, scripted_pacs, MINUTE_S)


def test_jobs_go_on_after_the_database_was_away_for_a_minute(
    tmp_path, rabbitmq_url, amqp_prefix, mortal_postgres, scripted_pacs
):
    without_database(tmp_path, rabbitmq_url, amqp_prefix, mortal_postgres, scripted_pacs, MINUTE_S)


def test_jobs_go_on_after_the_pacs_was_away_for_five_minutes(
    tmp_path, rabbitmq_url, amqp_prefix, scripted_pacs
):
    without_pacs(tmp_path, rabbitmq_url, amqp_prefix, scripted_pacs, 5 * MINUTE_S)
