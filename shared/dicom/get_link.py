"""The association of a C-GET: we ask, and are the SCP of the objects that come back over it (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from pynetdicom.presentation import PresentationContext, build_context

from shared.dicom.association import StackLink, open_contexts
from shared.dicom.calling import Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.get_classes import offers
from shared.dicom.sop_classes import STUDY_ROOT_GET


def open_get_link(
    peer: Peer,
    storage_classes: Sequence[str],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> StackLink:
    """Open an association for C-GET of objects of these classes.

    Raises:
        PeerError: it does not stand, with the outcome, or objects could not come over it.
        InterruptedWorkError: stopping was asked for.
    """
    offered = offers(storage_classes)
    contexts = [build_context(STUDY_ROOT_GET)]
    contexts += [build_context(one, list(transfer_syntaxes)) for one, transfer_syntaxes in offered]
    taken = list(dict.fromkeys(one for one, _ in offered))
    link = open_contexts(peer, contexts, timeouts, taken_abstract_syntaxes=taken, cancellation=cancellation)
    problem = _problem(link)
    if problem is None:
        return link
    link.release()
    raise PeerError(Outcome.NOT_SUPPORTED, f"{peer.ae_title} {problem}", permanent=True, associating=True)


def _problem(link: StackLink) -> str | None:
    """Say why nothing could be fetched over an association."""
    accepted = link.assoc.accepted_contexts
    if not any(context.abstract_syntax == STUDY_ROOT_GET for context in accepted):
        return "does not offer C-GET; choose C-MOVE for this node"
    if not contexts_to_send_on(link):
        return "offers C-GET, and would send no class of the objects wanted (PS3.7 D.3.3.4)"
    return None


def contexts_to_send_on(link: StackLink) -> list[PresentationContext]:
    """Return contexts in which everything can be sent on that may come over this association."""
    kinds = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in link.assoc.accepted_contexts
        if context.as_scp
    }
    return [build_context(abstract, transfer) for abstract, transfer in sorted(kinds)]
