"""A patient HTTP client for JSON: tries again, waits as it is told, and keeps its key for the host that it is for.

Opens connections. An answer that breaks off, that is no JSON, or that says it is busy is asked for again a few times; a
redirect to another origin is followed without the key. Does not know what the answers mean.
"""

import dataclasses
import datetime
import email.utils
import json
import random
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tunegate.data.refresh.credentials import scrubbed
from tunegate.data.sources.json_text import parse_strict, refuse
from tunegate.errors import InputError, MachineError

if TYPE_CHECKING:
    import httpx

TRIES = 6
TIMEOUT_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 300.0
"""A server that asks to wait longer is left alone: the refresh goes on from here when it is run again."""
MOST_BYTES = 64 * 2**20
"""Largest answer, unpacked."""
MOST_REDIRECTS = 5

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_AGAIN = "what was fetched is kept: run the refresh again later"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A JSON answer: its value, the URL that gave it, and the next page's URL that its Link header names, if any."""

    value: Any
    url: str
    following: str | None


class _AgainError(Exception):
    """Worth another try, after `pause` seconds where the server said so."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Client:
    """GET requests to the origin of `url`; `headers` hold the key, which goes nowhere else. Use it in a `with`."""

    def __init__(self, url: str, headers: Mapping[str, str], place: str) -> None:
        import httpx

        self._origin, self._headers, self._place = _origin_of(url, place), dict(headers), place
        # A server may say the token alone.
        self._secrets = [*headers.values(), *(value.removeprefix("Bearer ") for value in headers.values())]
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, headers=_PLAIN)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, parameters: Mapping[str, str | int | bool]) -> Answer:
        """The answer at `url`. Raises MachineError when there is none after TRIES, InputError when it is a refusal."""
        reason = ""
        for attempt in range(TRIES):
            try:
                return self._once(url, parameters)
            except _AgainError as error:
                reason = scrubbed(error, self._secrets)
                if attempt + 1 < TRIES:
                    time.sleep(self._pause(error, attempt))
        raise MachineError(f"no answer, {TRIES} times: {reason}", place=self._place, remedy=_AGAIN)

    def own(self, url: str, base: str) -> str:
        """`url`, relative to `base`, when it is of the same origin. Raises InputError when it leads elsewhere."""
        whole = urljoin(base, url)
        if _origin_of(whole, self._place) != self._origin:
            problem = f"the next page is on another host: {urlsplit(whole).netloc.rpartition('@')[2]!r}"
            raise InputError(problem, place=self._place, remedy="declare the address that the API itself gives")
        return whole

    def _pause(self, error: _AgainError, attempt: int) -> float:
        if error.pause is None:
            return min(LONGEST_PAUSE_SECONDS, 2.0**attempt) * random.uniform(0.5, 1)  # noqa: S311
        if error.pause > LONGEST_WAIT_SECONDS:
            problem = f"the API asks to wait for {error.pause:.0f} seconds"
            raise MachineError(problem, place=self._place, remedy=_AGAIN)
        return max(0.0, error.pause)

    def _once(self, url: str, parameters: Mapping[str, str | int | bool]) -> Answer:
        import httpx

        query: Mapping[str, str | int | bool] | None = parameters or None
        try:
            for _ in range(MOST_REDIRECTS + 1):
                key = self._headers if _origin_of(url, self._place) == self._origin else {}
                with self._client.stream("GET", url, params=query, headers=key) as response:
                    if response.has_redirect_location:
                        url, query = urljoin(str(response.url), response.headers["Location"]), None
                        continue
                    self._check(response)
                    return self._answer(response)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _AgainError(f"{type(error).__name__}: {error}") from None
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            problem = f"not an address: {scrubbed(error, self._secrets)}"
            raise InputError(problem, place=self._place, remedy="correct the URL") from None
        problem = f"more than {MOST_REDIRECTS} redirects"
        raise InputError(problem, place=self._place, remedy="declare the address that they lead to")

    def _check(self, response: "httpx.Response") -> None:
        status = response.status_code
        if status in _BUSY:
            raise _AgainError(f"HTTP status {status}", _wait(response.headers.get("Retry-After", "")))
        if status in (401, 403):
            problem = f"the API refuses the key: HTTP status {status}"
            raise InputError(problem, place=f"{self._place}.auth", remedy="check what the environment variable holds")
        if status != 200:
            problem = f"HTTP status {status} from {response.url.copy_with(query=None, userinfo=b'')}"
            raise InputError(
                problem, place=self._place, remedy="nothing was changed; correct the URL or its parameters"
            )

    def _answer(self, response: "httpx.Response") -> Answer:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                problem = f"an answer of more than {MOST_BYTES} bytes"
                raise InputError(problem, place=self._place, remedy="ask for smaller pages")
        return Answer(self._value(bytes(body)), str(response.url), response.links.get("next", {}).get("url"))

    def _value(self, body: bytes) -> Any:
        if _is_cut(body):
            raise _AgainError("the answer ends in the middle")
        place = f"{self._place}: the answer"
        try:
            value = parse_strict(body.decode("utf-8-sig"), place)
            json.dumps(value, allow_nan=False)
        except InputError as error:
            raise InputError(
                error.problem, place=error.place, remedy="nothing was changed; mend it in the API"
            ) from None
        except RecursionError:
            refuse(RecursionError(), place)
        except ValueError as error:  # not UTF-8, or a number that is none
            problem = f"not valid JSON: {error}"
            raise InputError(problem, place=place, remedy="nothing was changed; mend it in the API") from None
        return value


def _is_cut(body: bytes) -> bool:
    """Whether this is the beginning of a JSON text: half of an answer whose length nobody said."""
    try:
        json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    except json.JSONDecodeError as error:
        # A word, a number or an escape can be cut as well: then the error is where it begins.
        rest = error.doc[error.pos :].rstrip()
        return error.msg.startswith("Unterminated string") or _BEGUN.fullmatch(rest) is not None
    except (ValueError, RecursionError):
        return False
    return False


_BEGUN = re.compile(r"|t|tr|tru|f|fa|fal|fals|n|nu|nul|-|\.|[eE][+-]?|u?[0-9a-fA-F]{0,4}\"?")
_PLAIN = {"Accept": "application/json", "User-Agent": "tunegate"}


def _origin_of(url: str, place: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise InputError("a port that is none in an address", place=place, remedy="correct the URL") from None
    return parts.scheme, parts.hostname or "", port or {"http": 80, "https": 443}.get(parts.scheme)


def _wait(said: str) -> float | None:
    """The seconds that a Retry-After header says: a number, or an HTTP date."""
    if said.isascii() and said.strip().isdigit():
        return float(said)
    try:
        until = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return (until - datetime.datetime.now(datetime.UTC)).total_seconds()
