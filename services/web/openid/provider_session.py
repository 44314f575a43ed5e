"""HTTP to the provider within bounds: the time of a whole step, the size of each response, no redirects.

Loaded when somebody logs in at a provider: the libraries cost each start their time and memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from services.web.openid.errors import ProviderAwayError, ProviderRefusedError
from shared.configuration.sign_in import SignInSettings

#: Seconds for all requests of one step of a log-in together, and without a byte.
STEP_S, SILENCE_S = 10.0, 5.0
#: Bytes of the largest response: documents and key sets have some 10 KB.
RESPONSE_BYTES = 1 << 20
_CHUNK_BYTES = 64 << 10


class BoundError(RequestException):
    """A response was too slow or too long."""


class BoundedAdapter(HTTPAdapter):
    """Sends requests until its time is used up; one is made for each step of a log-in."""

    def __init__(self, step_s: float = STEP_S, silence_s: float = SILENCE_S) -> None:
        super().__init__(max_retries=0)
        self._ends_at, self._silence_s = time.monotonic() + step_s, silence_s

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> Response:
        """Send a request and read its response whole; the bounds stand in for `timeout`.

        Raises:
            BoundError: the time is used up, the response too long, or a redirect.
            RequestException: the provider cannot be reached.
        """
        del stream, timeout
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise BoundError("the time for the log-in is used up")
        wait_s = min(self._silence_s, left_s)
        response = super().send(request, True, wait_s, verify, cert, proxies)
        try:
            if response.is_redirect:
                raise BoundError("a redirect, which is not followed")
            body = self._body(response)
        finally:
            response.close()
        response.raw = BytesIO(body)
        return response

    def _body(self, response: Response) -> bytes:
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > RESPONSE_BYTES:
                raise BoundError(f"a response of more than {RESPONSE_BYTES} bytes")
            if time.monotonic() > self._ends_at:
                raise BoundError("a response that did not end in time")
        return bytes(body)


@contextmanager
def opened(settings: SignInSettings, redirect_uri: str) -> Iterator[OAuth2Session]:
    """Open a session with the provider for one step of a log-in.

    Raises:
        ProviderAwayError: what was requested in it did not come.
        ProviderRefusedError: the provider refused the log-in.
    """
    with OAuth2Session(
        settings.oidc_client_id,
        settings.oidc_client_secret or None,
        scope=" ".join(settings.oidc_scopes),
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
    ) as session:
        session.verify = settings.oidc_tls_ca or True
        adapter = BoundedAdapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            yield session
        except OAuthError as error:
            raise ProviderRefusedError(f"The provider refused the log-in: {_plain(error.error)}.") from error
        except RequestException as error:
            raise ProviderAwayError(f"The provider did not respond ({type(error).__name__}).") from error


def document(session: OAuth2Session, url: str, *, authorized: bool = False) -> dict[str, object]:
    """Return a JSON object of the provider; `authorized`: with the access token.

    Raises:
        ProviderAwayError: the provider responded with an error.
        ProviderRefusedError: it is no JSON object.
        RequestException: there was no response.
    """
    response = session.get(url, withhold_token=not authorized, headers={"Accept": "application/json"})
    if not response.ok:
        raise ProviderAwayError(f"The provider responded with HTTP {response.status_code}.")
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProviderRefusedError("The provider's response is no JSON object.")
    return found


def _plain(text: object) -> str:
    return "".join(character for character in str(text)[:64] if character.isalnum() or character in "_- ")
