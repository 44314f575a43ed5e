"""Which broker a URL means."""

from __future__ import annotations

from pathlib import Path

from shared.broker.port import Broker
from shared.broker.tls_files import TlsFiles

#: The URL of embedded mode: the broker lives in the memory of the serving process.
MEMORY_URL = "memory://"


def open_broker(url: str, prefix: str, bridge_socket: Path, tls: TlsFiles) -> Broker:
    """Return the broker that a URL means; nothing is connected yet.

    The serving process of embedded mode makes its `MemoryBroker` and `BridgeServer` itself.

    Raises:
        SettingsError: the URL is malformed, or a file for TLS cannot be used.
    """
    # Each process uses one of them.
    if url == MEMORY_URL:
        from shared.broker.bridge.client import BridgeClient  # noqa: PLC0415

        return BridgeClient(bridge_socket)
    from shared.broker.rabbitmq.broker import RabbitBroker  # noqa: PLC0415

    return RabbitBroker(url, prefix, tls)
