"""Records of an HTTP API that answers in JSON, page by page, into a spool.

Follows cursors, page numbers or Link headers, and stops where they lead in a circle. A page that comes twice counts
once.
"""

import hashlib
import json
from typing import Any, NamedTuple

from tunegate.data.refresh.spool import Spool
from tunegate.data.sources.external_declaration import Rest, secret_of
from tunegate.data.sources.json_text import parse_strict, refuse
from tunegate.errors import InputError
from tunegate.http import Answer, JsonClient
from tunegate.text import listed

SAME_PAGES = 3
"""So many pages in a row that came before are a circle, not a repetition."""

_DEFAULT_PARAMETER = {"cursor": "cursor", "page": "page"}
_KEY = "`auth`: check what the environment variable holds"
_REMEDIES = {401: _KEY, 403: _KEY, 503: "what was fetched is kept: run the refresh again later"}


class _Step(NamedTuple):
    """Which page to ask for: a cursor, a page's number or a URL; None is the first of cursors and links."""

    kind: str
    value: str | int | None


def fetch(declared: Rest, since: dict[str, Any] | None, spool: Spool, place: str) -> None:
    """Bring records into `spool`: what the API gives for `since`, or all of them where it is None.

    Raises InputError for an answer that is not as declared, MachineError when there is none.
    """
    headers = _headers(declared, place)
    with JsonClient(declared.url, headers, place=place, remedies=_REMEDIES, parse=_parse) as client:
        _Reader(declared, client, spool, place).read(since)


class _Reader:
    def __init__(self, declared: Rest, client: JsonClient, spool: Spool, place: str) -> None:
        self._declared, self._client, self._spool, self._place = declared, client, spool, place

    def read(self, since: dict[str, Any] | None) -> None:
        spool = self._spool
        if not spool.state:
            spool.state = {"step": list(self._first()), "steps": [], "pages": [], "same": 0}
        while spool.state["step"] is not None:
            step = _Step(*spool.state["step"])
            answer = self._client.request("GET", *self._request(step, since))
            records = self._records(answer)
            following = self._following(step, answer, records)
            spool.add(*self._kept(records, step, following))

    def _kept(self, records: list[dict[str, Any]], step: _Step, following: _Step | None) -> tuple[list[Any], Any]:
        state = self._spool.state
        page = _hash(records)
        repeated = bool(records) and page in state["pages"]
        same = state["same"] + 1 if repeated else 0
        if same >= SAME_PAGES:
            problem = f"the last {same} pages had come before: the pages lead in a circle"
            remedy = "check `pagination`: the API may not know the parameter"
            raise InputError(problem, place=f"{self._place}.pagination", remedy=remedy)
        steps = [*state["steps"], _hash(step.value)]
        if following is not None and following.kind != "page" and _hash(following.value) in steps:
            problem = f"the pages lead in a circle: {following.value!r:.80} comes for the second time"
            raise InputError(
                problem, place=f"{self._place}.pagination", remedy="nothing was changed; tell the API's owner"
            )
        # Its rows are kept as well: by key they are the same, and the refresh counts them as repeated.
        pages = state["pages"] if repeated else [*state["pages"], page]
        return records, {"step": following and list(following), "steps": steps, "pages": pages, "same": same}

    def _first(self) -> _Step:
        pagination = self._declared.pagination
        if pagination is None:
            return _Step("only", None)
        return _Step(pagination.kind, pagination.start if pagination.kind == "page" else None)

    def _request(self, step: _Step, since: dict[str, Any] | None) -> tuple[str, dict[str, str | int | bool]]:
        declared = self._declared
        if step.kind == "link" and step.value is not None:
            return str(step.value), {}
        parameters = dict(declared.parameters)
        if since is not None and declared.cursor is not None:
            parameters[declared.cursor.parameter] = since["value"]
        if declared.pagination is not None and step.value is not None:
            parameters[declared.pagination.parameter or _DEFAULT_PARAMETER[step.kind]] = step.value
        return declared.url, parameters

    def _records(self, answer: Answer) -> list[dict[str, Any]]:
        path = self._declared.records
        records = answer.value if path is None else _at(answer.value, path)
        where = f"{self._place}.records"
        if not isinstance(records, list):
            keys = f"; its keys are {listed(answer.value)}" if isinstance(answer.value, dict) else ""
            problem = f"no list of records at {path or 'the top'} of the answer{keys}"
            raise InputError(problem, place=where, remedy="name the dotted path of the list")
        bad = next((record for record in records if not isinstance(record, dict)), None)
        if bad is not None:
            problem = f"a record must be an object (got {type(bad).__name__})"
            raise InputError(problem, place=where, remedy="name the dotted path of the list of objects")
        return records

    def _following(self, step: _Step, answer: Answer, records: list[dict[str, Any]]) -> _Step | None:
        pagination = self._declared.pagination
        if pagination is None:
            return None
        if pagination.kind == "page":
            return _Step("page", int(step.value or 0) + 1) if records else None
        if pagination.kind == "link":
            url = self._client.next_page(answer)
            return _Step("link", url) if url else None
        value = _at(answer.value, pagination.next or "")
        if value is None or value == "":
            return None
        if not isinstance(value, str | int):
            problem = f"the next cursor must be a text or a number (got {type(value).__name__})"
            raise InputError(
                problem, place=f"{self._place}.pagination.next", remedy="name the path of the cursor itself"
            )
        return _Step("cursor", value)


def _headers(declared: Rest, place: str) -> dict[str, str]:
    auth = declared.auth
    if auth is None:
        return {}
    if auth.bearer_env:
        return {"Authorization": f"Bearer {_for_header(auth.bearer_env, place)}"}
    return {str(auth.header): _for_header(str(auth.env), place)}


def _for_header(variable: str, place: str) -> str:
    value = secret_of(variable, place)
    if not value.isascii():
        problem = f"the environment variable {variable} has a character that no header can hold"
        raise InputError(problem, place=f"{place}.auth", remedy="set it again: ASCII alone")
    return value


def _parse(text: str, place: str) -> Any:
    try:
        value = parse_strict(text, place)
        json.dumps(value, allow_nan=False)
    except InputError as error:
        remedy = "nothing was changed; correct it in the API"
        raise InputError(error.problem, place=error.place, remedy=remedy) from None
    except (ValueError, RecursionError) as error:
        refuse(error, place)
    return value


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
