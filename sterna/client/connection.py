"""One HTTP connection to a service that may be restarted at any time.

A request that never reached the service is sent again, whatever it asks; one whose answer was lost only if asking twice
does no harm or the service was given a key to do it once, else it is said that nobody knows whether it was done.
Between tries the wait doubles, up to five seconds or to what the service asks for (`Retry-After`), until the patience
ends.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api_schemas import read_answer
from sterna.client.problems import problem_error
from sterna.errors import (
    AccessDenied,
    InvalidSpec,
    RateLimited,
    RequestInProgress,
    ServiceUnavailable,
    SternaError,
)

PATIENCE_S: Final = 30.0
"""How long a service that does not answer is asked again."""
ANSWER_S: Final = 60.0
"""How long one answer may take, over and above what a `Prefer: wait` asks for."""

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_AWAY: Final = frozenset({502, 503, 504})
Model = TypeVar("Model", bound=BaseModel)
OnTrouble = Callable[[SternaError, float], None]


class Retry:
    """Pauses between the tries of one request.

    Attributes:
        deadline: on the monotonic clock.
    """

    def __init__(self, patience_s: float) -> None:
        self.deadline = time.monotonic() + patience_s
        self._pause_s = _FIRST_PAUSE_S

    def pause(self, at_least_s: float = 0.0) -> bool:
        """Wait before the next try; False at once when the patience is at its end."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            return False
        # Clients that lost the same server must not all come back in the same moment.
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311  no secret depends on it
        time.sleep(min(left_s, max(pause_s, at_least_s)))
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return True


class Away(Exception):
    """The service, or a proxy before it, says that it cannot answer now.

    Args:
        problem: what to raise when it goes on.
        after_s: how long it asks to be left alone.
    """

    def __init__(self, problem: SternaError, after_s: float) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.after_s = after_s


class Connection:
    """Sends requests and reads typed answers; problems are raised as the classes of `sterna.errors`.

    Args:
        url: of the service.
        api_key: None where it needs none.
        on_trouble: hears before each further try why it is made, and how many seconds of patience are left.
    """

    def __init__(self, url: str, api_key: str | None, on_trouble: OnTrouble | None = None) -> None:
        self.url = url.rstrip("/")
        self._on_trouble = on_trouble
        headers = {"Accept": "application/json"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()):
                raise AccessDenied(
                    "the key has characters that no header may hold",
                    hint="Check STERNA_API_KEY: a line end or a typographic sign may have slipped in.",
                )
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=ANSWER_S,
                follow_redirects=False,
                # A proxy of the environment cannot reach this machine's own address.
                trust_env=not _is_loopback(httpx.URL(self.url).host),
            )
        except httpx.InvalidURL as error:
            raise InvalidSpec(
                f"{url!r} is no address: {error}", hint="Give one such as http://127.0.0.1:8000."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def get(
        self,
        path: str,
        answer: type[Model],
        *,
        params: Mapping[str, str | int | list[str]] | None = None,
        wait_s: float = 0.0,
        patience_s: float = PATIENCE_S,
    ) -> Model:
        """GET, holding on for `wait_s` where the service can (`Prefer: wait`)."""
        headers = {"Prefer": f"wait={wait_s:.0f}"} if wait_s >= 1 else {}
        request = self._http.build_request("GET", path, params=params, headers=headers, timeout=ANSWER_S + wait_s)
        return self._read(self._send(request, harmless=True, patience_s=patience_s), answer)

    def post(
        self,
        path: str,
        answer: type[Model],
        *,
        harmless: bool = False,
        once: bool = False,
        answer_s: float = ANSWER_S,
        **body: Any,  # noqa: ANN401  httpx's own arguments
    ) -> Model:
        """POST.

        Args:
            path: what.
            answer: what is answered.
            harmless: doing it twice is as good as once, so it may be asked again when an answer is lost.
            once: the service is told to do it once however often it is asked (`Idempotency-Key`), so it may be too.
            answer_s: how long the answer may take.
            body: of the request.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex} if once else {}
        timeout = httpx.Timeout(ANSWER_S, read=answer_s)
        request = self._http.build_request("POST", path, timeout=timeout, headers=headers, **body)
        return self._read(self._send(request, harmless=harmless or once), answer)

    def put(self, path: str, content: httpx.SyncByteStream, *, size_bytes: int) -> None:
        """PUT so many bytes; always safe to repeat, so the content must be readable more than once."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        self._send(self._http.build_request("PUT", path, content=content, headers=headers), harmless=True)

    def delete(self, path: str) -> None:
        """DELETE; where the answer is lost nobody knows whether it was done."""
        self._send(self._http.build_request("DELETE", path), harmless=False)

    def text(self, path: str, *, params: Mapping[str, str | int] | None = None) -> str:
        """GET of a plain text."""
        return self._send(self._http.build_request("GET", path, params=params), harmless=True).text

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], *, silence_s: float = ANSWER_S) -> Iterator[httpx.Response]:
        """GET without reading the body; one try, and transport errors of httpx come through.

        Args:
            path: what.
            headers: of the request.
            silence_s: how long nothing may come.

        Raises:
            Away: try again.
        """
        timeout = httpx.Timeout(ANSWER_S, read=silence_s)
        with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise _away(response) if response.status_code in _AWAY else problem_error(response)
            yield response

    def unavailable(self, error: Exception | str) -> ServiceUnavailable:
        """What to raise when the patience is at its end."""
        reason = str(error) or type(error).__name__
        return ServiceUnavailable(
            f"{self.url} does not answer: {reason}",
            hint="Check the address (STERNA_URL) and that the service runs: `sterna serve` starts one here.",
        )

    def _send(self, request: httpx.Request, *, harmless: bool, patience_s: float = PATIENCE_S) -> httpx.Response:
        retry = Retry(patience_s)
        while True:
            after_s = 0.0
            trouble: SternaError
            try:
                response = self._http.send(request)
            except httpx.UnsupportedProtocol as error:
                raise InvalidSpec(f"{self.url!r}: {error}", hint="Give an address with http:// or https://.") from None
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                trouble = self.unavailable(error)
            except httpx.TransportError as error:
                if not harmless:
                    raise _lost(request, error) from None
                trouble = self.unavailable(error)
            else:
                if not (harmless and _is_away(response)):
                    return _checked(response)
                away = _away(response)
                trouble, after_s = away.problem, away.after_s
            left_s = retry.deadline - time.monotonic()
            if self._on_trouble is not None and left_s > 0:
                self._on_trouble(trouble, left_s)
            if not retry.pause(after_s):
                raise trouble

    def _read(self, response: httpx.Response, answer: type[Model]) -> Model:
        try:
            return read_answer(answer, response.content)
        except ValidationError:
            raise ServiceUnavailable(
                f"{response.request.url} answered with something that is no {answer.__name__}",
                hint="Check that the address is that of a Sterna service, of a version that this client knows.",
            ) from None


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise problem_error(response)
    return response


def _is_away(response: httpx.Response) -> bool:
    """Whether the same request will be answered later: the service is away, asks for patience, or is still at it."""
    if response.status_code in _AWAY:
        return True
    return response.status_code in {409, 429} and isinstance(problem_error(response), RequestInProgress | RateLimited)


def _away(response: httpx.Response) -> Away:
    asked = response.headers.get("Retry-After", "")
    return Away(problem_error(response), float(asked) if asked.isascii() and asked.isdigit() else 0.0)


def _lost(request: httpx.Request, error: httpx.TransportError) -> ServiceUnavailable:
    """Sending it again might do it twice, and nobody but the caller can decide that."""
    return ServiceUnavailable(
        f"the answer to {request.method} {request.url} was lost ({str(error) or type(error).__name__});"
        " the service may have done it all the same",
        hint="Look before you send it again: `sterna list` shows the newest jobs, `sterna status` how one stands.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
