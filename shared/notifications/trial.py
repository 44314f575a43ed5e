"""Testing an address: a message is sent now, and what really happened is returned in words."""

from __future__ import annotations

import threading

from shared.clock import Clock
from shared.database.models import NotificationAddress
from shared.database.session import Database
from shared.errors import PermanentError
from shared.notifications.addresses import begin_test, cipher_of, end_test, target_of
from shared.notifications.texts import Translator, in_english, trial_message
from shared.notifications.transport.sender import Sender
from shared.notifications.transport.sender_main import SendResult
from shared.settings import Settings

#: Tests at once in one process: each has a process and holds its caller.
TESTS_AT_ONCE = 2


class TrialsInProgressError(PermanentError):
    """As many addresses as may be are being tested."""


class AddressTrial:
    """Tests addresses; safe for many threads."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, translate: Translator = in_english
    ) -> None:
        """`translate` gives a text in the language of an address."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._translate = translate
        self._sender = Sender(settings.address_policy, settings.notification_timeout)
        self._room = threading.BoundedSemaphore(TESTS_AT_ONCE)

    def run(self, address_id: int) -> SendResult:
        """Send a test message to an address, and note what became of it.

        Raises:
            TrialsInProgressError: other tests have to end first.
            TriedRecentlyError: it was tested a moment ago.
            DatabaseAwayError: nothing was sent, or it was not noted.
        """
        if not self._room.acquire(blocking=False):
            raise TrialsInProgressError("other addresses are being tested; try again in a moment")
        try:
            with self._database.write() as session:
                row = session.get_one(NotificationAddress, address_id, with_for_update=True)
                begin_test(row, self._clock())
                name, sealed, language = row.name, row.sealed, row.language
            result = self._send(name, sealed, language)
            with self._database.write() as session:
                noted = session.get(NotificationAddress, address_id, with_for_update=True)
                if noted is not None:
                    end_test(noted, "" if result.sent else result.detail, self._clock())
        finally:
            self._room.release()
        return result

    def _send(self, name: str, sealed: str, language: str) -> SendResult:
        try:
            target = target_of(sealed, self._settings.address_policy, cipher_of(self._settings))
        except PermanentError as error:
            return SendResult(False, str(error), final=True)
        message = trial_message(name, self._settings.public_url, lambda text: self._translate(text, language))
        return self._sender.send(target, message)
