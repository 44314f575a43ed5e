"""What is only said to have arrived at a store node that is asked for storage commitment."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.retrieve.commitment import ledger
from services.retrieve.context import Facts, Seen
from services.retrieve.planning.follow_up import take_at_its_word, taken_of_us
from services.retrieve.planning.moves import Share
from services.retrieve.transfer.arrival_check import Evidence
from services.retrieve.transfer.c_move import Attempt

NO_NAMES = "the PACS does not name them"


def evidence_to_commit(facts: Facts, attempts: Sequence[Attempt], received: Seen) -> Evidence:
    """Return what is said to have arrived; what has a name and no receipt is to be committed to."""
    seen = taken_of_us(attempts) if facts.fetch else Seen()
    seen.add(received)
    if not facts.fetch:
        take_at_its_word(attempts, seen)
    unproven = frozenset(seen.sop_instance_uids - received.sop_instance_uids)
    unnamed = any("" in uids for uids in seen.nameless.values())
    return Evidence(seen, word_of(facts) if unnamed else "receipts", unproven)


def word_of(facts: Facts) -> str:
    """Return how arrival is known without the node's commitment."""
    return "receipts" if facts.fetch else "reported"


def mark_nameless(session: Session, facts: Facts, shares: Sequence[Share], seen: Seen) -> None:
    """Write beside series that nobody could name objects of that a commitment cannot be asked for them."""
    unnamed = [share for share in shares if share.nameless and "" in seen.nameless.get(share.key, ())]
    ledger.mark_unproven(session, facts.job_id, unnamed, NO_NAMES)


def unproven_note(session: Session, facts: Facts) -> str:
    """Return what an administrator should know of objects that the node did not commit to; empty: nothing."""
    told = [
        f"{objects} {'object' if objects == 1 else 'objects'} ({detail})"
        for objects, detail in ledger.unproven(session, facts.job_id)
    ]
    if not told:
        return ""
    word = "its answers to C-STORE tell" if facts.fetch else "the PACS says"
    return (
        f"{facts.store.ae_title} was asked for storage commitment, but that these arrived is not verified, "
        f"only what {word}: {'; '.join(told)}."
    )
