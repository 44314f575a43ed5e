"""One C-GET of 3,000 objects of 100 KB: the process that fetches them stays as it was."""

from __future__ import annotations

from functools import partial

import pytest

from shared.database.models import Node
from simulator.archive.model import Study
from simulator.content import images
from simulator.scp import ScriptedPacs
from tests.bench.table import print_table
from tests.soak.test_store_steady import handles, memory_mib
from tests.support.jobs.retrieves import Retrieves, recorded_requests
from tests.support.peers.studies import objects, series, study
from tests.support.processes.installation import Observed, installed, observed
from tests.support.waiting import wait_until

OBJECTS, PARTS = 3_000, 10
#: Rows and columns of 16 bit: 100 KB.
SIZE = 224
#: What the process may grow by between the first tenth and the end.
GROWTH_MIB, GROWTH_HANDLES = 16.0, 4
ENDS_WITHIN_S = 900.0

pytestmark = pytest.mark.timeout(1800)


def begin(observer: Observed, pacs: ScriptedPacs, kept_study: Study) -> str:
    """Add the PACS as one that is retrieved from with C-GET, and start the retrieve of all that it holds."""
    observer.add_pacs(pacs)
    with observer.database.write() as session:
        session.query(Node).filter_by(name="pacs").one().retrieve_by = "get"
    retrieves = Retrieves(observer)
    with observer.database.read() as session:
        retrieves.remote = session.query(Node).filter_by(name="pacs").one()
        retrieves.store = session.query(Node).filter_by(kind="store").one()
    return retrieves.order(retrieves.kept([kept_study]))


def has_sent(pacs: ScriptedPacs, number: int) -> bool:
    return pacs.witness.objects_sent >= number


def test_a_long_get_leaves_its_process_as_it_was(
    tmp_path, rabbitmq_url, amqp_prefix, scripted_pacs, monkeypatch
):
    # Given
    monkeypatch.setattr(images, "SIZE", SIZE)
    kept_study = study(series("ct_image", OBJECTS))
    pacs = scripted_pacs([kept_study])
    with installed(tmp_path, rabbitmq_url, amqp_prefix, fresh=True) as installation:
        installation.serve("store")
        (fetching,) = installation.serve("retrieve")
        with observed(installation) as observer:
            # When
            job_id = begin(observer, pacs, kept_study)
            rows = []
            for part in range(1, PARTS + 1):
                number = OBJECTS * part // PARTS
                wait_until(partial(has_sent, pacs, number), ENDS_WITHIN_S)
                rows.append((number, memory_mib(fetching.pid), handles(fetching.pid)))
            observer.wait_for_end(job_id, ENDS_WITHIN_S)
            print_table("one C-GET of 3,000 objects of 100 KB", ("objects", "MiB", "handles"), rows)
            # Then
            retrieve = observer.retrieve_json(job_id)
            assert (retrieve["status"], retrieve["verification"]) == ("completed", "receipts")
            assert retrieve["counts"]["arrived"] == OBJECTS
            assert observer.files() == objects(kept_study)
            assert [request.level for request in recorded_requests(pacs, "get")] == ["SERIES"]
            assert max(mib for _, mib, _ in rows) - rows[0][1] < GROWTH_MIB
            assert rows[-1][2] - rows[0][2] <= GROWTH_HANDLES
