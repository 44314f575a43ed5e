"""The objects that a node returns for a series, by C-FIND at IMAGE level."""

from __future__ import annotations

from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer
from shared.dicom.query.identifiers import image_identifier
from shared.dicom.query.matches import ObjectMatch, object_match, objects_of_series
from shared.node_access.archive import ArchiveAccess


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
