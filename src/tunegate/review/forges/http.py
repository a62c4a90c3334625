"""A small JSON client for a forge's REST interface: retries, pages, time limits, and no secret in any error.

The token goes to the interface's own host alone: no redirect and no next page
leads it elsewhere.
"""

import dataclasses
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.files import parse_json, to_json

TRIES = 5
TIMEOUT_SECONDS = 30
LONGEST_PAUSE_SECONDS = 60
_MOST_PAGES = 100
_MOST_BYTES = 16 * 1024 * 1024
_BUSY = (429, 500, 502, 503, 504)
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next\b')


class NotFoundError(InputError):
    """The interface does not have it, or does not let us see it."""


@dataclasses.dataclass(frozen=True)
class _Answer:
    body: Any
    headers: Mapping[str, str]


class Api:
    """A forge's REST interface at `url`; `headers` carry the token."""

    def __init__(self, url: str, headers: Mapping[str, str], *, pause: Callable[[float], None] = time.sleep) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"not an address of a REST interface (got {url!r})", remedy="it starts with https://")
        if any(not value.isprintable() for value in headers.values()):
            raise InputError("the token has a line break or another control character", remedy="set the secret again")
        self._url = url.rstrip("/")
        self._origin = (parts.scheme, parts.netloc)
        self._headers = {"Accept": "application/json", "User-Agent": "tunegate", **headers}
        self._pause = pause
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON at `path`."""
        return self._send("GET", self._address(path, query)).body

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list that comes in pages."""
        address = self._address(path, {"per_page": 100, **query})
        for _ in range(_MOST_PAGES):
            answer = self._send("GET", address)
            yield from answer.body
            following = _NEXT.search(answer.headers.get("Link", ""))
            if not following:
                return
            address = self._own(following[1])
        raise MachineError(f"more than {_MOST_PAGES} pages", place=path, remedy="tell the maintainers of tunegate")

    def send(self, method: str, path: str, body: Mapping[str, Any], *, repeatable: bool = True) -> Any:
        """Send `body` as JSON and return the answer's JSON.

        What is not `repeatable` is sent again only where the interface says that it did nothing (429).
        """
        return self._send(method, self._address(path, {}), body, repeatable=repeatable).body

    def _send(
        self, method: str, address: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = True
    ) -> _Answer:
        place = f"{method} {urllib.parse.urlsplit(address).path}"
        for attempt in range(1, TRIES + 1):
            try:
                return self._once(method, address, body)
            except urllib.error.HTTPError as error:
                wait = _wait_after(error, attempt)
                if wait is None:
                    raise self._refusal(error, place) from None
                problem = f"answers {error.code}"
                again = repeatable or error.code in (403, 429)
            except (OSError, http.client.HTTPException) as error:
                wait, problem = float(2**attempt), f"no answer: {getattr(error, 'reason', None) or error}"
                again = repeatable
            if wait > LONGEST_PAUSE_SECONDS:
                problem += f", and asks to wait {wait:.0f} s"
                break
            if not again or attempt == TRIES:
                break
            self._pause(wait)
        raise MachineError(self._clean(f"the forge {problem}"), place=place, remedy="run the job again later")

    def _once(self, method: str, address: str, body: Mapping[str, Any] | None) -> _Answer:
        data = None if body is None else to_json(body).encode()
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(address, data=data, headers=headers, method=method)  # noqa: S310
        with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            content = response.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise MachineError("an answer of more than 16 MiB", place=method)
            text = content.decode("utf-8", "replace")
            return _Answer(parse_json(text, place=self._url) if text.strip() else None, response.headers)

    def _refusal(self, error: urllib.error.HTTPError, place: str) -> InputError:
        message = self._clean(_message_of(error))
        if error.code == 401:
            return InputError(f"the token is not accepted (401): {message}", place=place, remedy="set the secret again")
        if error.code == 403:
            remedy = "give the job or the token the permission; docs/ci.md lists them"
            return InputError(f"not permitted (403): {message}", place=place, remedy=remedy)
        if error.code in (404, 410):
            remedy = "check the number and the address, and that the token may see them"
            return NotFoundError(f"not found ({error.code}): {message}", place=place, remedy=remedy)
        if 300 <= error.code < 400:
            remedy = "set the interface's present address: the token is sent nowhere else"
            return InputError(f"redirected ({error.code})", place=place, remedy=remedy)
        return InputError(f"refused ({error.code}): {message}", place=place, remedy="see what the forge says")

    def _clean(self, text: str) -> str:
        # A forge, or a proxy before it, may send back what it was sent.
        for name, value in self._headers.items():
            if name.lower() in ("authorization", "private-token", "job-token"):
                for secret in (value, value.split()[-1] if value.split() else ""):
                    text = text.replace(secret, "***") if secret else text
        return text

    def _address(self, path: str, query: Mapping[str, str | int]) -> str:
        return f"{self._url}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")

    def _own(self, address: str) -> str:
        parts = urllib.parse.urlsplit(address)
        if (parts.scheme, parts.netloc) != self._origin:
            remedy = "set the interface's address as it calls itself"
            raise InputError(f"the next page is on another host ({parts.netloc})", place=self._url, remedy=remedy)
        return address


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never: urllib would send the token along, to any host."""


def _wait_after(error: urllib.error.HTTPError, attempt: int) -> float | None:
    """Seconds before the next try, or None where another try gives the same."""
    exhausted = error.code == 403 and (
        error.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in error.headers
    )
    if error.code not in _BUSY and not exhausted:
        return None
    retry_after = error.headers.get("Retry-After", "")
    if retry_after.isdecimal():
        return float(retry_after)
    reset = error.headers.get("X-RateLimit-Reset", "")
    if exhausted and reset.isdecimal():
        return max(1.0, float(reset) - time.time())
    return float(2**attempt)


def _message_of(error: urllib.error.HTTPError) -> str:
    try:
        body = parse_json(error.read(4096).decode("utf-8", "replace"), place="")
        words = body.get("message") or body.get("error") if isinstance(body, dict) else ""
    except (InputError, OSError, http.client.HTTPException):
        words = ""
    return " ".join(str(words or error.reason).split())[:300]
