"""What jobs need goes away in their middle: broker, database, PACS, a worker with SIGTERM, or all at once."""

from __future__ import annotations

from shared.contract.messages import RunRetrieve
from tests.e2e.archive import mixed_archive
from tests.e2e.away import without_broker, without_database, without_pacs
from tests.e2e.slow import ONE_BY_ONE, SOON_S, as_undisturbed, begin_slow_query
from tests.support.peers.studies import mg_study, objects
from tests.support.processes.installation import installed, observed
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


def test_after_everything_was_killed_at_once_jobs_go_on(tmp_path, own_node, own_prefix, scripted_pacs):
    # Given
    archive = [*mixed_archive(30), mg_study(images=60)]
    pacs = scripted_pacs(archive, store_pause_s=0.15, **ONE_BY_ONE)
    services = ("query", "retrieve", "store")
    with installed(tmp_path, own_node.url, own_prefix) as installation:
        installation.serve(*services)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            first = observer.finished_query({"types": ["MG"]})
            retrieve_id = observer.command(RunRetrieve(query_id=first["id"]))
            wait_until(lambda: pacs.witness.objects_sent >= 5)
            query_id = begin_slow_query(observer, pacs)
            assert observer.status(retrieve_id) == "running"
            # When
            own_node.kill()
            installation.kill_all()
        own_node.start()
        with observed(installation) as observer:
            pacs.change(store_pause_s=0.0)
            installation.serve(*services)
            # Then
            observer.wait_for_end(retrieve_id, SOON_S)
            as_undisturbed(observer, pacs, query_id)
            retrieve = observer.retrieve_json(retrieve_id)
            assert retrieve["status"] == "completed"
            images = objects(*archive, content="mg_image")
            assert retrieve["counts"]["asked"] == retrieve["counts"]["arrived"] == len(images)
            assert observer.files() == images
            assert len(observer.endings(retrieve_id)) == 1
