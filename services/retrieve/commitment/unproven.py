"""What is only said to have arrived at a store node that is asked for storage commitment."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.retrieve.commitment import ledger
from services.retrieve.context import Arrivals, RetrieveContext
from services.retrieve.planning.follow_up import take_at_its_word, taken_of_us
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.transfer.arrival_check import Evidence
from services.retrieve.transfer.c_move import Attempt

NO_NAMES = "the PACS does not name them"


def evidence_to_commit(context: RetrieveContext, attempts: Sequence[Attempt], received: Arrivals) -> Evidence:
    """Return what is said to have arrived; what has a name and no receipt is to be committed to."""
    arrivals = taken_of_us(attempts) if context.fetch else Arrivals()
    arrivals.add(received)
    if not context.fetch:
        take_at_its_word(attempts, arrivals)
    unproven = frozenset(arrivals.sop_instance_uids - received.sop_instance_uids)
    unnamed = any("" in uids for uids in arrivals.unlisted.values())
    return Evidence(arrivals, proof_without_commitment(context) if unnamed else "receipts", unproven)


def proof_without_commitment(context: RetrieveContext) -> str:
    """Return how arrival is known without the node's commitment."""
    return "receipts" if context.fetch else "reported"


def mark_unlisted(
    session: Session, context: RetrieveContext, parts: Sequence[SeriesPart], arrivals: Arrivals
) -> None:
    """Write beside series that nobody could name objects of that a commitment cannot be asked for them."""
    unnamed = [part for part in parts if part.unlisted and "" in arrivals.unlisted.get(part.key, ())]
    ledger.mark_unproven(session, context.job_id, unnamed, NO_NAMES)


def unproven_note(session: Session, context: RetrieveContext) -> str:
    """Return what an administrator should know of objects that the node did not commit to; empty: nothing."""
    told = [
        f"{objects} {'object' if objects == 1 else 'objects'} ({detail})"
        for objects, detail in ledger.unproven(session, context.job_id)
    ]
    if not told:
        return ""
    word = "its answers to C-STORE tell" if context.fetch else "the PACS says"
    return (
        f"{context.store.ae_title} was asked for storage commitment, but that these arrived is not verified, "
        f"only what {word}: {'; '.join(told)}."
    )
