"""What is only reported to have arrived at a store node from which storage commitment is requested."""

from __future__ import annotations

from collections.abc import Sequence

from services.retrieve.commitment import ledger
from services.retrieve.context import RetrieveContext
from services.retrieve.planning.arrivals import Arrivals, add_reported, stored_by_c_get
from services.retrieve.planning.attempts import Attempt
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.transfer.arrival_check import Evidence
from shared.database.session import Session

NO_NAMES = "the PACS does not name them"


def evidence_to_commit(context: RetrieveContext, attempts: Sequence[Attempt], received: Arrivals) -> Evidence:
    """Return what is reported to have arrived; a named object without a receipt is to be committed to."""
    arrivals = stored_by_c_get(attempts) if context.fetch else Arrivals()
    arrivals.add(received)
    if not context.fetch:
        add_reported(attempts, arrivals)
    unproven = frozenset(arrivals.sop_instance_uids - received.sop_instance_uids)
    unnamed = any("" in uids for uids in arrivals.unlisted.values())
    return Evidence(arrivals, proof_without_commitment(context) if unnamed else "receipts", unproven)


def proof_without_commitment(context: RetrieveContext) -> str:
    """Return how arrival is known without the node's commitment."""
    return "receipts" if context.fetch else "reported"


def mark_unlisted(
    session: Session, context: RetrieveContext, parts: Sequence[SeriesPart], arrivals: Arrivals
) -> None:
    """Write beside unlisted series that no commitment can be requested for their objects."""
    unnamed = [part for part in parts if part.unlisted and "" in arrivals.unlisted.get(part.key, ())]
    ledger.mark_unproven(session, context.job_id, unnamed, NO_NAMES)


def unproven_note(session: Session, context: RetrieveContext) -> str:
    """Return what an administrator should know of objects that the node did not commit to; empty: nothing."""
    unproven = [
        f"{objects} {'object' if objects == 1 else 'objects'} ({detail})"
        for objects, detail in ledger.unproven(session, context.job_id)
    ]
    if not unproven:
        return ""
    source = "its responses to C-STORE show" if context.fetch else "the PACS reports"
    return (
        f"{context.store.ae_title} got a request for storage commitment, but that these arrived is not "
        f"verified, only what {source}: {'; '.join(unproven)}."
    )


def reported_only(context: RetrieveContext) -> str:
    """Return the sentence for a retrieve of which the PACS reports arrivals without saying which."""
    return (
        f"The PACS reports objects as sent to {context.store.ae_title}, which neither sends receipts nor "
        "responds to C-FIND; which of them arrived is not known."
    )
