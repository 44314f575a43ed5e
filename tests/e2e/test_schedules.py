"""A recurring query from end to end: several processes, a PACS, and a report that comes late."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from shared.clock import utc_now
from tests.integration.query.test_unchanged_studies import Shelf
from tests.support.peers.studies import ct_study, series

DAY = utc_now().astimezone().date() - timedelta(days=2)


def test_each_run_brings_what_is_new_whichever_process_takes_it(installation, observe, scripted_pacs):
    # Given: a study with a report and one without, and two query services
    with_report, without = ct_study(date=DAY), ct_study(date=DAY, with_rdsr=False)
    shelf = Shelf([with_report, without])
    pacs = scripted_pacs(shelf, destinations={"DOSEQR": installation.store_address})
    services = installation.serve("query", "query", "retrieve", "store", "echo")
    observer = observe(installation)
    observer.add_pacs(pacs)
    what = ("--remote", "pacs", "--store", "doseqr", "--ct", "--retrieve", "--start", str(DAY))
    added = installation.doseqr("schedules", "add", "often", *what, "--every", "1440", "--json")
    # When
    first = installation.doseqr("schedules", "run", "often", "--json")
    services[0].kill()
    late = series("rdsr_ct", number=99)
    shelf.refill(with_report, dataclasses.replace(without, series=(*without.series, late)))
    # The watermark lies two hours back, the days before it are covered late: begin anew to have them now.
    installation.doseqr("schedules", "edit", "often", "--start", str(DAY - timedelta(days=1)))
    second = installation.doseqr("schedules", "run", "often", "--json")
    # Then
    assert added.code == 0, added.err
    assert (first.code, second.code) == (0, 0), (first.err, second.err)
    assert [run.json["counts"]["arrived"] for run in (first, second)] == [1, 1]
    shown = installation.doseqr("schedules", "show", "often", "--json").json
    assert [run["status"] for run in shown["runs"]] == ["completed", "completed"]
    query = installation.doseqr("show", str(second.json["job"]), "--json").json
    assert (query["schedule"], query["counts"]["kept"]) == ("often", 1)
    stored = " ".join(observer.files())
    assert all(instance.sop_instance_uid in stored for instance in late.instances)
