"""The commands that pause and resume nodes, for other systems; page and command line do it directly."""

from __future__ import annotations

from shared.contract.envelope import Envelope
from shared.contract.messages import PauseNode, ResumeNode
from shared.control.node_control import NodeControl, publish_pause
from shared.messaging.publisher import Publisher


class NodeHandler:
    """Pauses and resumes nodes on command."""

    def __init__(self, control: NodeControl, publisher: Publisher) -> None:
        self._control = control
        self._publisher = publisher

    def pause(self, envelope: Envelope, command: PauseNode) -> None:
        """Pause a node.

        Raises:
            InvalidInputError: there is no such node.
            RetriableError: broker or database away.
        """
        node = self._control.pause(command.node, envelope.id, command.requested_by, "data.node")
        publish_pause(self._publisher, node, envelope.id)

    def resume(self, envelope: Envelope, command: ResumeNode) -> None:
        """Resume a node.

        Raises:
            InvalidInputError: there is no such node.
            RetriableError: broker or database away.
        """
        node = self._control.resume(command.node, envelope.id, command.requested_by, "data.node")
        publish_pause(self._publisher, node, envelope.id)
