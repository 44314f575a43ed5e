"""The objects that a node returns for a series, by C-FIND at IMAGE level."""

from __future__ import annotations

from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer
from shared.dicom.query.identifiers import image_identifier
from shared.dicom.query.matches import ObjectMatch, object_match, objects_of_series
from shared.node_access.archive import ArchiveAccess

#: A silent cap is a round number, or a power of two of at least this.
_ROUND, _SMALLEST_POWER = 10, 16


def find_objects(
    pool: ArchiveAccess,
    peer: Peer,
    study_instance_uid: str,
    series_instance_uid: str,
    cancellation: Cancellation,
) -> list[ObjectMatch]:
    """Return the objects of a series.

    Raises:
        PeerError: there is no association, or the result is not complete.
        InterruptedWorkError: a stop was requested.
    """
    identifier = image_identifier([study_instance_uid], [series_instance_uid])
    with pool.find(peer, cancellation) as association:
        result = association.find(identifier, object_match, cancellation)
    return objects_of_series(result.complete_matches(), series_instance_uid)


def may_be_cut(listed: int, announced: int | None, cap: int | None) -> bool:
    """Return whether a node may have listed only a part of a series.

    `announced`: its Number of Series Related Instances (0020,1209). Archives count objects that they do not
    list, so fewer than announced is not enough: the number has to look like that of a cap.

    `cap`: the number of matches at which the node is known to stop.
    """
    if announced is None or not 0 < listed < announced:
        return False
    is_power = listed >= _SMALLEST_POWER and listed & (listed - 1) == 0
    return listed == cap or listed % _ROUND == 0 or is_power
