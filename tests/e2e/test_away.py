"""What a job needs goes away in its middle: the broker, the database, a worker that gets SIGTERM."""

from __future__ import annotations

from tests.e2e.archive import mixed_archive
from tests.e2e.away import without_broker, without_database, without_pacs
from tests.e2e.slow import ONE_BY_ONE, as_undisturbed, begin_slow_query
from tests.support.waiting import wait_until

#: How long things stay away; tests/soak has the longer times.
AWAY_S = 4.0


def test_jobs_go_on_after_the_broker_was_away(tmp_path, own_node, own_prefix, scripted_pacs):
    without_broker(tmp_path, own_node, own_prefix, scripted_pacs, AWAY_S)


def test_jobs_go_on_after_the_database_was_away(
    tmp_path, rabbitmq_url, amqp_prefix, mortal_postgres, scripted_pacs
):
    without_database(tmp_path, rabbitmq_url, amqp_prefix, mortal_postgres, scripted_pacs, AWAY_S)


def test_jobs_go_on_after_the_pacs_was_away(tmp_path, rabbitmq_url, amqp_prefix, scripted_pacs):
    without_pacs(tmp_path, rabbitmq_url, amqp_prefix, scripted_pacs, AWAY_S)


def test_terminated_worker_passes_its_work_to_another(installation, serving, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(30), **ONE_BY_ONE)
    workers, observer = serving("query", "query")
    observer.add_pacs(pacs)
    job_id = begin_slow_query(observer, pacs)
    observer.task_in_progress_of("query", workers[0])
    # When
    code = workers[0].terminate()
    # Then
    assert code == 0
    assert workers[0].pid not in observer.pids_in_progress("query")
    as_undisturbed(observer, pacs, job_id)


def test_work_that_does_not_end_within_the_grace_period_is_handed_back(installation, observe, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(20), **ONE_BY_ONE)
    (worker,) = installation.serve("query", DOSEQR_GRACE="1")
    observer = observe(installation)
    observer.add_pacs(pacs)
    pacs.add_fault(operation="find", kind="never_answer", nth=9, always=True)
    job_id = begin_slow_query(observer, pacs)
    wait_until(lambda: pacs.faults_struck > 0)
    # When
    assert worker.terminate() == 0
    # Then
    assert not observer.pids_in_progress("query")
    assert observer.status(job_id) == "running"
    pacs.change(faults=())
    installation.serve("query")
    as_undisturbed(observer, pacs, job_id)
