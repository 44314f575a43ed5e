"""QIDO-RS (PS3.18 10.6): one search, all its pages, and whether they are known to be all there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from pydicom.dataset import Dataset

from shared.dicom.association.c_find import MAX_RESPONSE_BYTES, MAX_RESPONSES
from shared.dicom.association.operation_deadline import OperationDeadline, find_deadline
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.matches import FindResult, MalformedMatchError, Match
from shared.dicom.status import SUCCESS
from shared.dicomweb.http.authentication import Authenticator
from shared.dicomweb.http.connection import WebResponse
from shared.dicomweb.http.errors import TOO_MUCH, WebStatusError
from shared.dicomweb.http.session import PAGE_LIMITS, ServerHabits, WebSession
from shared.dicomweb.qido.pages import ACCEPT_JSON, PageEnd, Pages, announces_more, is_json, matches_in
from shared.dicomweb.qido.request import OWN_UID, SEPARATORS, has_list, qido_target

T = TypeVar("T")

#: Pages of one search; as long ones as are requested would hold more than is read.
MAX_PAGES = 5000


@dataclass(frozen=True, slots=True)
class _MatchPage:
    matches: Sequence[dict[int, bytes]]
    more: bool
    size_bytes: int


class QidoSession(WebSession):
    """A session for searches."""

    operation = "QIDO-RS"

    def __init__(
        self,
        peer: Peer,
        url: str,
        authenticator: Authenticator,
        timeouts: Timeouts,
        cancellation: Cancellation | None,
        habits: ServerHabits,
    ) -> None:
        super().__init__(peer, url, authenticator, timeouts, cancellation)
        self._habits = habits

    def find(
        self, identifier: Dataset, read: Callable[[Match], T], cancellation: Cancellation | None = None
    ) -> FindResult[T]:
        """Search for the matches of an identifier, page by page; the result holds what went wrong.

        Its status is that of a C-FIND with the same meaning.

        Raises:
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped while it waited for these limits.
        """
        self.admit()
        if self._habits.separator is not None or not has_list(identifier):
            separator = self._habits.separator or SEPARATORS[0]
            return self._find(identifier, separator, read, cancellation)
        result: FindResult[T] = FindResult()
        for number, separator in enumerate(SEPARATORS):
            if number:
                # Nothing, or a list that was taken for a single value?
                self.admit()
            result = self._find(identifier, separator, read, cancellation)
            if result.matches and result.complete:
                self._habits.separator = separator
            if result.matches or not result.complete:
                break
        return result

    def _find(
        self,
        identifier: Dataset,
        separator: str,
        read: Callable[[Match], T],
        cancellation: Cancellation | None,
    ) -> FindResult[T]:
        result: FindResult[T] = FindResult()
        began = time.monotonic()
        search = _PagedSearch(
            self,
            self._habits,
            identifier,
            qido_target(identifier, separator),
            read,
            cancellation,
            result,
        )
        try:
            search.run(find_deadline(self._timeouts.response_s))
        except NotNowError:
            raise
        except (PeerError, InterruptedWorkError) as error:
            result.error = error
            result.status_code = error.status_code if isinstance(error, PeerError) else None
        if result.error is None:
            result.status_code = SUCCESS
        result.duration_ms = round((time.monotonic() - began) * 1000)
        if result.error is not None and not isinstance(result.error, WebStatusError):
            self.abort()
        return result


class _PagedSearch:
    """One search, from its first page to the last."""

    def __init__(
        self,
        session: QidoSession,
        habits: ServerHabits,
        identifier: Dataset,
        target: str,
        read: Callable[[Match], T],
        cancellation: Cancellation | None,
        result: FindResult[T],
    ) -> None:
        self._session = session
        self._habits = habits
        self._target = target
        self._own_uid = OWN_UID[str(identifier.QueryRetrieveLevel)]
        self._cancellation = cancellation
        self._pages = Pages()
        self._bytes = self._largest = 0

        def take(match: Match) -> None:
            try:
                result.matches.append(read(match))
            except MalformedMatchError as error:
                result.broken += 1
                result.problem = result.problem or str(error)

        self._take = take
        self._result = result

    def run(self, deadline: OperationDeadline) -> None:
        """Request pages until nothing is left.

        Raises:
            PeerError: the result is not complete, or not known to be.
            InterruptedWorkError: the work was stopped.
        """

        def check() -> None:
            if deadline.is_over:
                raise TimeoutError

        for number in range(MAX_PAGES):
            if number:
                self._session.admit()
            page = self._page(check)
            if page is None or self._is_last(page):
                self._judge()
                return
            deadline.progressed()
        raise self._capped(f"more than {MAX_PAGES} pages")

    def _is_last(self, page: _MatchPage) -> bool:
        """Take a page; return whether no other follows.

        Raises:
            PeerError: it is not known what lies between or behind the pages.
            InterruptedWorkError: the work was stopped.
        """
        first = self._pages.offset == 0
        end = self._take_page(page)
        if end is PageEnd.GO_ON:
            self._note_size(page, first=first)
        if self._cancellation is not None and self._cancellation.requested:
            raise InterruptedWorkError(self._cancellation.reason)
        if end is PageEnd.OVERLAPS:
            raise self._capped("pages that overlap, so that something may lie between them")
        if end is PageEnd.COMPLETE:
            if page.more:
                raise self._capped("an empty page, and says that there is more")
            self._habits.offsets = self._habits.offsets if first else True
            return True
        if end is PageEnd.SAME_AGAIN:
            self._habits.offsets = False
        if self._habits.offsets is not False:
            return False
        # It cannot be requested what follows: is it known that something does?
        if page.more or len(page.matches) >= self._habits.page_limit:
            raise self._capped("one page, and pays no heed to the offset of another")
        return True

    def _note_size(self, page: _MatchPage, *, first: bool) -> None:
        """Note that the result comes in pages: where a page is full, or is not the first one."""
        self._largest = max(self._largest, len(page.matches))
        if not first or len(page.matches) >= self._habits.page_limit:
            self._result.largest_page = self._largest

    def _take_page(self, page: _MatchPage) -> PageEnd:
        uids = [uid for match in page.matches if (uid := self._uid(match))]
        before = {uid for uid in uids if not self._pages.is_new(uid)}
        end = self._pages.add(len(page.matches), uids)
        for match in page.matches:
            # Of a study that is returned twice on one page both are taken, as from a C-FIND.
            if self._uid(match) not in before:
                self._take(Match(match))
        self._bytes += page.size_bytes
        if self._pages.offset > MAX_RESPONSES or self._bytes > MAX_RESPONSE_BYTES:
            raise self._capped(
                f"more than {MAX_RESPONSES} matches, or {MAX_RESPONSE_BYTES >> 20} MiB of them"
            )
        return end

    def _uid(self, match: dict[int, bytes]) -> str:
        return match.get(self._own_uid, b"").decode()

    def _judge(self) -> None:
        result = self._result
        if result.broken:
            items = len(result.matches) + result.broken
            detail = f"{result.broken} of {items} matches could not be read: {result.problem}"
            raise PeerError(Outcome.BAD_RESPONSE, detail)

    # One page

    def _page(self, check: Callable[[], None]) -> _MatchPage | None:
        """Return a page; None: the server takes no offset, and what came before is all that it returns.

        Raises:
            PeerError: the server refuses the request, or returns no matches.
            InterruptedWorkError: the work was stopped.
        """
        limits = [limit for limit in PAGE_LIMITS if limit <= self._habits.page_limit]
        if self._habits.limit_proven:
            limits = limits[:1]
        error: PeerError | None = None
        for number, limit in enumerate(limits):
            if number:
                self._session.admit()
            response = self._request(limit, check)
            if response.status in _SUCCESSES:
                self._habits.page_limit, self._habits.limit_proven = limit, True
                return self._matches(response)
            refusal = self._session.refusal(response, _resource(self._target))
            error = error or refusal
            if response.status != HTTPStatus.BAD_REQUEST:
                error = refusal
                break
        assert error is not None
        refuses = isinstance(error, WebStatusError) and error.http_status == HTTPStatus.BAD_REQUEST
        if not (self._pages.offset and refuses):
            raise error
        self._habits.offsets = False
        if self._pages.offset >= self._habits.page_limit:
            raise self._capped("pages up to a place, and refuses what lies behind it")
        return None

    def _request(self, limit: int, check: Callable[[], None]) -> WebResponse:
        offset = f"&offset={self._pages.offset}" if self._pages.offset else ""
        target = f"{self._target}&limit={limit}{offset}"
        return self._session.get(target, ACCEPT_JSON, check=check, cancellation=self._cancellation)

    @staticmethod
    def _matches(response: WebResponse) -> _MatchPage:
        more = announces_more(response.status, response.headers.get("warning", ""))
        body = response.read(MAX_RESPONSE_BYTES)
        if response.status == HTTPStatus.NO_CONTENT:
            return _MatchPage((), more, 0)
        if body.strip() and not is_json(response.content_type):
            kind = response.content_type.split(";")[0][:64] or "no media type"
            detail = f"the server responds with {kind}, not with application/dicom+json"
            raise PeerError(Outcome.NO_DICOMWEB, detail, associating=True)
        return _MatchPage(matches_in(body), more, len(body))

    def _capped(self, what: str) -> WebStatusError:
        detail = f"the server returned {self._pages.offset} matches, and {what}"
        return WebStatusError(
            Outcome.CAPPED, detail, http_status=HTTPStatus.PARTIAL_CONTENT, status_code=TOO_MUCH
        )


_SUCCESSES = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT})


def _resource(target: str) -> str:
    return target.partition("?")[0].rpartition("/")[2]
