"""Long lists of studies: begun by a row, followed in the database while workers listen."""

from __future__ import annotations

import itertools
import time

from services.cli.client.jobs import QueryOrder, require_query_workers
from services.cli.client.session import who
from services.cli.output.console import notice
from services.cli.output.exit_codes import CANCELLED, CommandError
from shared.broker.port import Broker
from shared.clock import utc_now
from shared.contract.criteria import IDENTIFIERS
from shared.database.session import Database
from shared.reading.lists.study_lists import study_list_json
from shared.study_lists.ledger import NewList, add_list
from shared.study_lists.results import StudyListDetails
from shared.study_lists.upload import UploadedList

#: Seconds between two readings, and readings between two checks of the workers.
POLL_S, POLLS_BETWEEN_CHECKS = 1.0, 10


def begin_list(database: Database, order: QueryOrder, name: str, found: UploadedList) -> str:
    """Write a list down, of which the query service begins the parts; return its id."""
    given = NewList(
        name=name,
        field=found.field,
        identifiers=found.identifiers,
        remote=order.remote,
        store=order.store,
        criteria={**order.criteria.to_json(), **{field: [] for field in IDENTIFIERS}},
        retrieve=order.retrieve,
        requested_by=who(),
        left_out=found.number_of_errors,
    )
    with database.write() as session:
        return add_list(session, given, utc_now())


def wait_for_list(database: Database, broker: Broker, order: QueryOrder, list_id: str) -> StudyListDetails:
    """Wait until a list has ended, and return it.

    Raises:
        CommandError: no worker listens, or the wait was interrupted.
    """
    shown = ""
    try:
        for polls in itertools.count(1):
            details = list_details(database, list_id)
            if details["ended_at"] is not None:
                return details
            text = (
                f"{details['parts_ended']} of {details['parts']} parts ended, {details['kept']} studies kept"
            )
            if text != shown:
                notice(text)
                shown = text
            if polls % POLLS_BETWEEN_CHECKS == 0:
                require_query_workers(broker, order)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        raise CommandError(
            CANCELLED,
            "interrupted",
            f"The list goes on without this command. Look at it with `doseqr lists show {list_id}`, end it "
            f"with `doseqr lists cancel {list_id}`.",
            list=list_id,
        ) from None
    raise AssertionError("unreachable")


def list_details(database: Database, list_id: str) -> StudyListDetails:
    """Return a list with its parts."""
    with database.read() as session:
        return study_list_json(session, list_id)
