"""An Orthanc that has lost a few files among many: few C-MOVEs find them, and everything else arrives."""

from __future__ import annotations

from sqlalchemy import func, select

from shared.database.models import RetrieveMove
from tests.support.archives import retrieve_many
from tests.support.peers.studies import objects

REPORTS = 100

#: Two lists of fifty series and one image; for each lost file the list without it, the object alone as often
#: as the settings of the tests allow (four times), and two in reserve for halves.
MOVES_MOST = 3 + 2 * (1 + 4 + 2)


def test_few_moves_find_what_an_orthanc_has_lost(system, make_orthanc, tmp_path_factory):
    # Given: an archive that fails a whole list at a file that it cannot read
    held = retrieve_many.holdings(tmp_path_factory.mktemp("reports"), REPORTS, 1)
    reports = sorted(objects(*held.studies, content="rdsr_ct"))
    lost = frozenset({reports[37], reports[71]})
    pacs = make_orthanc("ORTHANC")
    retrieve_many.send_files(pacs, held.folder)
    pacs.stop()
    retrieve_many.lose(pacs.storage, lost)
    pacs.start()
    node, arrived = retrieve_many.own(system)
    pacs.send_to(node.ae_title, node.host, node.port)
    # When
    ended = retrieve_many.retrieve(system, pacs, node, held.studies, lists=True)
    # Then
    retrieve_many.check(held, ended, arrived, lost)
    with system.database.read() as session:
        moves = session.scalar(select(func.count()).select_from(RetrieveMove)) or 0
    assert moves <= MOVES_MOST
