"""The importer that the settings name, ready to take over."""

from __future__ import annotations

import threading

from services.store.handover.command_sender import CommandSender
from services.store.handover.http_sender import HttpSender
from services.store.handover.model import Send
from services.store.handover.worker import HandoverWorker
from services.store.objects.durable_folder import ObjectFolder
from shared.database.session import Database
from shared.errors import SettingsError
from shared.settings import Settings


def handover_workers(settings: Settings, database: Database, folder: ObjectFolder) -> list[HandoverWorker]:
    """Return what hands over, not started yet; nothing if no importer is set.

    Raises:
        SettingsError: both a command and an address are set.
    """
    if not settings.handover_enabled:
        return []
    if settings.handover_command and settings.handover_url:
        raise SettingsError("DOSEQR_HANDOVER_URL: cannot be set beside DOSEQR_HANDOVER_COMMAND")
    stopping = threading.Event()
    send = _sender(settings, folder, stopping)
    return [HandoverWorker(database, folder, send, stopping, pauses=settings.handover_pauses)]


def _sender(settings: Settings, folder: ObjectFolder, stopping: threading.Event) -> Send:
    root, timeout_s = folder.root.absolute(), settings.handover_timeout
    if settings.handover_command:
        return CommandSender(settings.handover_command, root, timeout_s=timeout_s, stopping=stopping)
    return HttpSender(
        settings.handover_url, root, timeout_s=timeout_s, store_ae_title=settings.store_ae_title
    )
