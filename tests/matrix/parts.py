"""All rows of the fault matrix, by part."""

from __future__ import annotations

from dataclasses import dataclass

from tests.matrix.browser_and_api import WEB_ROWS
from tests.matrix.character_sets import CHARACTER_SET_ROWS
from tests.matrix.hostile_inputs import HOSTILE_ROWS
from tests.matrix.query.associations import ASSOCIATION_ROWS
from tests.matrix.query.faults import FAULT_ROWS
from tests.matrix.query.habits import HABIT_ROWS
from tests.matrix.query.proven import QUERY_PROVEN
from tests.matrix.responses import RESPONSE_ROWS
from tests.matrix.retrieve.gets import ACCEPTANCE_ROWS, GET_ROWS
from tests.matrix.retrieve.move_responses import MOVE_RESPONSE_ROWS
from tests.matrix.retrieve.moves import ROWS as MOVE_ROWS
from tests.matrix.retrieve.proven import RETRIEVE_PROVEN
from tests.matrix.rows import MatrixRow, ProvenRow
from tests.matrix.store.senders import SENDER_ROWS
from tests.matrix.store_and_system import SYSTEM_ROWS


@dataclass(frozen=True)
class Part:
    """A part of the matrix."""

    name: str
    #: The fewest rows that it may have.
    least: int
    #: Rows whose data are run, and rows that a named test holds.
    run: tuple[MatrixRow, ...]
    proven: tuple[ProvenRow, ...]

    @property
    def rows(self) -> tuple[MatrixRow, ...]:
        return (*self.run, *self.proven)


PARTS = (
    Part("Query", 60, (*FAULT_ROWS, *ASSOCIATION_ROWS, *HABIT_ROWS), tuple(QUERY_PROVEN)),
    Part(
        "Retrieve", 40, (*MOVE_ROWS, *MOVE_RESPONSE_ROWS, *GET_ROWS, *ACCEPTANCE_ROWS), tuple(RETRIEVE_PROVEN)
    ),
    Part("Store and system", 30, tuple(SENDER_ROWS), tuple(SYSTEM_ROWS)),
    Part("Browser and API", 30, (), tuple(WEB_ROWS)),
    Part("Hostile inputs", 30, (*RESPONSE_ROWS, *CHARACTER_SET_ROWS), tuple(HOSTILE_ROWS)),
)
