"""The conformance statement says what is proposed and accepted over real associations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from shared.dicom.association.c_echo import open_echo_association
from shared.dicom.association.c_find import open_find_association
from shared.dicom.association.c_move import open_move_association
from shared.dicom.errors import PeerError
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_get import open_get_association
from shared.dicom.sop_classes import (
    REPORT_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from shared.dicom.upper_layer.associate_requestor import TRANSFER_SYNTAXES
from tests.conformance.statement import SCU, get_contexts

TIMEOUTS = Timeouts(5.0, 5.0)

Open = Callable[[Peer, Timeouts], object]
OPENED: dict[str, Open] = {
    VERIFICATION: open_echo_association,
    STUDY_ROOT_FIND: open_find_association,
    STUDY_ROOT_MOVE: open_move_association,
}


class Proposed:
    """What the last association proposed."""

    def __init__(self) -> None:
        self.contexts: list[tuple[str, tuple[str, ...]]] = []
        self.scp_roles: set[str] = set()
        self.implementation = ""

    def note(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        assert requestor.primitive is not None
        self.contexts = [
            (str(context.abstract_syntax), tuple(map(str, context.transfer_syntax)))
            for context in requestor.primitive.presentation_context_definition_list
        ]
        self.scp_roles = {str(uid) for uid, role in requestor.role_selection.items() if role.scp_role}
        self.implementation = str(requestor.implementation_class_uid)


@pytest.fixture
def listening() -> Iterator[tuple[Peer, Proposed]]:
    """A peer that notes what is proposed to it, and accepts little of it."""
    proposed = Proposed()
    entity = AE("PEER")
    entity.add_supported_context(Verification)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, proposed.note)]
    )
    assert server is not None
    yield Peer("127.0.0.1", server.server_address[1], "PEER", "DOSEQR", None), proposed
    server.shutdown()


@pytest.mark.parametrize("abstract_syntax", OPENED)
def test_a_service_is_proposed_as_in_the_statement(listening, abstract_syntax):
    # Given
    peer, proposed = listening
    # When
    try:
        OPENED[abstract_syntax](peer, TIMEOUTS).release()  # type: ignore[attr-defined]
    except PeerError:
        assert abstract_syntax != VERIFICATION
    # Then
    assert abstract_syntax in SCU
    assert proposed.contexts == [(abstract_syntax, TRANSFER_SYNTAXES)]
    assert proposed.implementation == IMPLEMENTATION_CLASS_UID


def test_a_c_get_proposes_the_storage_classes_of_the_statement(listening):
    # Given
    peer, proposed = listening
    wanted = REPORT_CLASSES[0]
    # When
    with pytest.raises(PeerError):
        open_get_association(peer, [wanted], TIMEOUTS)
    # Then
    assert proposed.contexts[0][0] == STUDY_ROOT_GET
    storage = proposed.contexts[1:]
    of_wanted = tuple(syntax for uid, syntaxes in storage if uid == wanted for syntax in syntaxes)
    assert of_wanted == get_contexts()[wanted]
    assert {uid for uid, _ in storage} <= set(get_contexts())
    assert proposed.scp_roles == {uid for uid, _ in storage}
