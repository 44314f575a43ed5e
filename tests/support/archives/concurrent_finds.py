"""Many C-FINDs on several associations of one process: is any match lost?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from shared.dicom.association.c_find import open_find_association
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import series_identifier
from shared.dicom.query.matches import series_match

TIMEOUTS = Timeouts(connect_s=10.0, response_s=30.0)


def find_series(
    peer: Peer, expected: Mapping[str, frozenset[str]], *, associations: int, finds: int
) -> list[str]:
    """Find the series of one study after the other; return a line for each incomplete result.

    `expected` holds the Series Instance UIDs of each study; `finds` are shared among the associations.
    """
    order = sorted(expected)
    shares = [
        [order[number % len(order)] for number in range(share, finds, associations)]
        for share in range(associations)
    ]
    with ThreadPoolExecutor(associations) as pool:
        lost = pool.map(lambda share: _find_over_one_association(peer, expected, share), shares)
        return [line for lines in lost for line in lines]


def _find_over_one_association(
    peer: Peer, expected: Mapping[str, frozenset[str]], share: Sequence[str]
) -> list[str]:
    lost = []
    association = open_find_association(peer, TIMEOUTS)
    for study_instance_uid in share:
        result = association.c_find(series_identifier([study_instance_uid]), series_match)
        matched = frozenset(match.series_instance_uid for match in result.matches)
        if result.error is not None or matched != expected[study_instance_uid]:
            missing = len(expected[study_instance_uid] - matched)
            lost.append(f"{study_instance_uid}: {missing} missing, error {result.error}")
            if not association.alive:
                association = open_find_association(peer, TIMEOUTS)
    association.release()
    return lost
