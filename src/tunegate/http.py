"""A JSON client over HTTP, for APIs and forges: retries with bounded waits, size limits, and no secret in an error.

Credentials go to the origin of the client's own URL alone: a redirect elsewhere is followed without them, and a next
page elsewhere is an error. The module does not know what the answers mean.
"""

import dataclasses
import datetime
import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tunegate.errors import InputError, MachineError
from tunegate.text import without_secrets

if TYPE_CHECKING:
    import httpx

TRIES = 6
TIMEOUT_SECONDS = 30.0
MAX_PAUSE_SECONDS = 60.0
"""Longest pause of our own choice between two tries."""
MAX_WAIT_SECONDS = 300.0
"""Longest wait that a server may ask for; one that asks for more gets no further request."""
MAX_BYTES = 64 * 2**20
"""Largest answer, decompressed."""
ANSWER_SECONDS = 600.0
"""Longest time that one answer may take to arrive."""
MAX_REDIRECTS = 5
MAX_PAGES = 100

Query = Mapping[str, str | int | bool]

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MESSAGE_BYTES = 4096
_MESSAGE_CHARACTERS = 300
_CUT_JSON = re.compile(r"|t|tr|tru|f|fa|fal|fals|n|nu|nul|-|\.|[eE][+-]?|u?[0-9a-fA-F]{0,4}\"?")
_HEADERS = {"Accept": "application/json", "User-Agent": "tunegate"}


class NotFoundError(InputError):
    """The server says that there is no such thing, or that the credentials may not know of it (404, 410)."""


class _TryAgainError(Exception):
    """Worth another try, after `wait` seconds where the server said so; `unprocessed`: it did nothing so far."""

    def __init__(self, reason: str, wait: float | None = None, *, unprocessed: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.unprocessed = wait, unprocessed


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer: the value of its JSON (None without a body), its URL, and the "next" URL of its Link header."""

    value: Any
    url: str
    next: str | None


def _parse_json(text: str, place: str) -> Any:
    """The value of a JSON text. Raises InputError, which names `place`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", place=place, remedy="check the address") from None


class JsonClient:
    """Requests to the server at `url`, an http or https URL, which `place` names in errors.

    `headers` hold the credentials: they go to the origin of `url` alone. `remedies` say what to do about an HTTP
    status, and, under 503, about no answer. `parse` makes a value of an answer's text and a place. Raises InputError
    for what the server refuses, MachineError when it does not answer after TRIES.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        place: str = "",
        remedies: Mapping[int, str] | None = None,
        parse: Callable[[str, str], Any] = _parse_json,
    ) -> None:
        import httpx

        self._url, self._place, self._parse = url.rstrip("/"), place or without_secrets(url, ()), parse
        self._remedies, self._headers = dict(remedies or {}), dict(headers)
        self._origin = self._origin_of(url)
        if self._origin[0] not in ("http", "https") or not self._origin[1]:
            problem = f"not an HTTP address (got {without_secrets(url, ())!r})"
            raise InputError(problem, place=self._place, remedy="it starts with https://")
        if not all(value.isprintable() for value in headers.values()):
            problem = "the token has a line break or another control character"
            raise InputError(problem, place=self._place, remedy="set the secret again")
        # A server may repeat the token without the "Bearer" in front of it.
        self._secrets = [*headers.values(), *(value.rpartition(" ")[2] for value in headers.values())]
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, headers=_HEADERS)

    def __enter__(self) -> "JsonClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, **query: str | int) -> Any:
        """The JSON at `url`: an address of the server, or a path below the client's own."""
        return self.request("GET", url, query).value

    def send(self, method: str, url: str, body: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Send `body` as JSON and return the JSON of the answer.

        What is not `repeatable` is sent again only when the server says that it did nothing (429).
        """
        return self.request(method, url, body=body, repeatable=repeatable).value

    def pages(self, url: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list that comes in pages, linked by Link headers."""
        answer = self.request("GET", url, {"per_page": 100, **query})
        for _ in range(MAX_PAGES):
            if not isinstance(answer.value, list):
                raise InputError("a page that is not a list", place=self._place, remedy="check the address")
            yield from answer.value
            following = self.next_page(answer)
            if following is None:
                return
            answer = self.request("GET", following)
        raise MachineError(f"more than {MAX_PAGES} pages of {url}", place=self._place, remedy="report it to tunegate")

    def next_page(self, answer: Answer) -> str | None:
        """The URL of the page after `answer`. Raises InputError when it leads to another origin."""
        try:
            url = urljoin(answer.url, answer.next) if answer.next else None
        except ValueError:
            raise InputError("an invalid address of the next page", place=self._place, remedy="run it again") from None
        if url is not None and self._origin_of(url) != self._origin:
            problem = f"the next page is on another host: {urlsplit(url).netloc.rpartition('@')[2]!r}"
            raise InputError(problem, place=self._place, remedy="use the address that the server itself gives")
        return url

    def request(
        self,
        method: str,
        url: str,
        query: Query | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> Answer:
        """The answer to one request, tried again while the server is busy or breaks off."""
        address = url if "://" in url else f"{self._url}/{url}"
        for attempt in range(TRIES):
            try:
                return self._once(method, address, query or None, body)
            except _TryAgainError as error:
                wait = error.wait or min(MAX_PAUSE_SECONDS, 2.0**attempt) * random.uniform(0.5, 1)  # noqa: S311
                reason = f"no answer to {method} {urlsplit(address).path}: {without_secrets(error, self._secrets)}"
                if wait > MAX_WAIT_SECONDS:
                    reason += f", and it asks to wait for {wait:.0f} seconds"
                if wait > MAX_WAIT_SECONDS or attempt + 1 == TRIES or not (repeatable or error.unprocessed):
                    break
            sleep(wait)
        raise MachineError(reason, place=self._place, remedy=self._remedies.get(503, "run it again later"))

    def _once(self, method: str, url: str, query: Query | None, body: Mapping[str, Any] | None) -> Answer:
        import httpx

        try:
            for _ in range(MAX_REDIRECTS + 1 if method == "GET" else 1):
                headers = self._headers if self._origin_of(url) == self._origin else {}
                with self._client.stream(method, url, params=query, json=body, headers=headers) as response:
                    # A cookie of one host would be sent to another port of it.
                    self._client.cookies.clear()
                    if response.has_redirect_location:
                        url, query = self._target_of(response), None
                        continue
                    self._check(response)
                    return self._answer(response)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeEncodeError) as error:
            problem = f"not an HTTP address: {without_secrets(error, self._secrets)}"
            raise InputError(problem, place=self._place, remedy="correct the URL") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _TryAgainError(f"{type(error).__name__}: {error}") from None
        problem = f"more than {MAX_REDIRECTS} redirects" if method == "GET" else f"a redirect of a {method} request"
        raise InputError(problem, place=self._place, remedy="set the address that it leads to")

    def _target_of(self, response: "httpx.Response") -> str:
        """Where a redirect leads. Raises InputError for an address with a user name: it would replace the token."""
        url = urljoin(str(response.url), response.headers["Location"])
        if "@" in urlsplit(url).netloc:
            problem = "a redirect to an address with a user name"
            raise InputError(problem, place=self._place, remedy="set the address that it leads to")
        return url

    def _check(self, response: "httpx.Response") -> None:
        status, headers = response.status_code, response.headers
        limited = status == 403 and (headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers)
        if status in _BUSY or limited:
            raise _TryAgainError(f"HTTP status {status}", _wait_of(headers), unprocessed=limited or status == 429)
        if response.is_success:
            return
        kind = NotFoundError if status in (404, 410) else InputError
        problem = f"HTTP status {status} for {response.request.method} {response.url.path}: {self._message(response)}"
        remedy = self._remedies.get(status, "check the address, and see what the server says")
        raise kind(problem, place=self._place, remedy=remedy)

    def _message(self, response: "httpx.Response") -> str:
        """What the server says about a refusal, in one short line."""
        content = next(response.iter_bytes(_MESSAGE_BYTES), b"").decode("utf-8", "replace")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        words = value.get("message") or value.get("error") if isinstance(value, dict) else None
        line = " ".join(str(words or response.reason_phrase or "no reason given").split())
        return without_secrets(line, self._secrets)[:_MESSAGE_CHARACTERS]

    def _answer(self, response: "httpx.Response") -> Answer:
        if "," in response.headers.get("Content-Encoding", ""):
            problem = "an answer that is compressed more than once"
            raise InputError(problem, place=self._place, remedy="ask the server's operator")
        body, deadline = bytearray(), time.monotonic() + ANSWER_SECONDS
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() > deadline:
                raise _TryAgainError(f"the answer took more than {ANSWER_SECONDS:.0f} seconds")
            if len(body) > MAX_BYTES:
                problem = f"an answer of more than {MAX_BYTES} bytes"
                raise InputError(problem, place=self._place, remedy="ask for smaller pages")
        is_empty = not body.strip() and response.request.method != "GET"
        value = None if is_empty else self._value(bytes(body))
        return Answer(value, str(response.url), response.links.get("next", {}).get("url"))

    def _value(self, body: bytes) -> Any:
        place = f"{self._place}: the answer"
        try:
            return self._parse(body.decode("utf-8-sig"), place)
        except (InputError, UnicodeDecodeError) as error:
            if is_cut(body):
                raise _TryAgainError("the answer ends in the middle") from None
            if isinstance(error, InputError):
                raise
            raise InputError(f"not valid JSON: {error}", place=place, remedy="check the address") from None

    def _origin_of(self, url: str) -> tuple[str, str, int | None]:
        try:
            parts = urlsplit(url)
            return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            problem = "an address with an invalid host or port"
            raise InputError(problem, place=self._place, remedy="correct the URL") from None


def is_cut(body: bytes) -> bool:
    """Whether `body` is the beginning of a JSON text: half of an answer that came without its length."""
    try:
        json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    except json.JSONDecodeError as error:
        # A word, a number or an escape can be cut as well: then the error is where it begins.
        rest = error.doc[error.pos :].rstrip()
        return error.msg.startswith("Unterminated string") or _CUT_JSON.fullmatch(rest) is not None
    except (ValueError, RecursionError):
        return False
    return False


def _wait_of(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After (a number, or an HTTP date; RFC 9110) or GitHub's X-RateLimit-Reset asks for."""
    value, reset = headers.get("Retry-After", "").strip(), headers.get("X-RateLimit-Reset", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        is_spent = headers.get("X-RateLimit-Remaining") == "0" and reset.isascii() and reset.isdigit()
        return max(1.0, float(reset) - time.time()) if is_spent else None
    pause = until.replace(tzinfo=until.tzinfo or datetime.UTC) - datetime.datetime.now(datetime.UTC)
    return max(0.0, pause.total_seconds())
