import email.utils
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Api, api, broken_off, send, throttled

from tunegate import http
from tunegate.data.sources.declaration import Source
from tunegate.data.sources.locations import Located
from tunegate.data.sources.records import read_records
from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.params import parse

from .conftest import Project

RECORDS = [{"id": n, "text": f"Question {n}", "changed": f"2026-01-{n:02d}"} for n in range(1, 8)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with api() as served:
        yield served


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("tunegate.http.sleep", waited.append)
    return waited


def declared(server: Api, **keys: Any) -> dict[str, Any]:
    return {"rest": {"url": f"{server.url}/tickets", "key": "id", **keys}}


def by_cursor(query: dict[str, str]) -> Any:
    start = int(query.get("after", "0"))
    more = start + 3 < len(RECORDS)
    return {"data": {"items": RECORDS[start : start + 3]}, "meta": {"next": str(start + 3) if more else None}}


CURSOR = {"records": "data.items", "pagination": {"kind": "cursor", "parameter": "after", "next": "meta.next"}}


def ids(project: Project) -> list[int]:
    return [row["id"] for row in project.rows()]


def test_pages_are_followed_by_cursor(project: Project, server: Api) -> None:
    server.handle = by_cursor
    outcome = project.refresh(declared(server, **CURSOR, parameters={"size": 3}))
    assert (outcome.changes.added, outcome.received) == (7, 7)
    assert ids(project) == [1, 2, 3, 4, 5, 6, 7]
    assert server.queries == [{"size": "3"}, {"size": "3", "after": "3"}, {"size": "3", "after": "6"}]
    before = project.state()
    assert project.refresh(declared(server, **CURSOR, parameters={"size": 3})).changed is False
    assert project.state() == before


def test_pages_are_counted_until_one_is_empty(project: Project, server: Api) -> None:
    server.handle = lambda query: RECORDS[3 * int(query["p"]) : 3 * int(query["p"]) + 3]
    project.refresh(declared(server, pagination={"kind": "page", "parameter": "p", "start": 0}))
    assert ids(project) == [1, 2, 3, 4, 5, 6, 7]
    assert [query["p"] for query in server.queries] == ["0", "1", "2", "3"]


def test_pages_are_followed_by_the_link_header_but_not_to_another_host(project: Project, server: Api) -> None:
    def handle(query: dict[str, str]) -> Any:
        start = int(query.get("from", "0"))
        link = {"Link": f'</tickets?from={start + 3}>; rel="next", </>; rel="first"'} if start < 6 else {}
        return RECORDS[start : start + 3], link

    server.handle = handle
    project.refresh(declared(server, pagination={"kind": "link"}))
    assert ids(project) == [1, 2, 3, 4, 5, 6, 7]
    server.handle = lambda _: (RECORDS, {"Link": '<http://pw@elsewhere.example/>; rel="next"'})
    with pytest.raises(InputError, match=r"the next page is on another host: 'elsewhere\.example'"):
        project.refresh(declared(server, pagination={"kind": "link"}), name="other")


def test_throttling_broken_answers_and_errors_are_waited_out(
    project: Project, server: Api, pauses: list[float]
) -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    server.handle = by_cursor
    server.answers = [
        throttled("7"),
        broken_off,
        throttled(soon),
        lambda request: send(request, {}, 503),
        lambda request: send(request, {}, 200, Content_Encoding="gzip"),
    ]
    project.refresh(declared(server, **CURSOR))
    assert ids(project) == [1, 2, 3, 4, 5, 6, 7]
    assert len(server.requests) == 8
    assert pauses[0] == 7
    assert 1 <= pauses[1] <= 2
    assert 20 < pauses[2] <= 31
    assert 4 <= pauses[3] <= 8


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'[{"id": 1, "id": 2}]', "the key 'id' appears twice"),
        (b'[{"id": NaN}]', "NaN|JSON"),
        (b'[{"id": 1e999}]', "not valid JSON: Out of range float"),
        (b"[" * 100_000, "nested more than"),
        (b"<html>busy</html>", "not valid JSON"),
        (b'[{"id": "\xff"}]', "not valid JSON"),
    ],
)
def test_an_answer_that_is_no_strict_json_is_refused_at_once(
    project: Project, server: Api, pauses: list[float], body: bytes, problem: str
) -> None:
    server.answers = [lambda request: send_bytes(request, body)]
    with pytest.raises(InputError, match=problem):
        project.refresh(declared(server))
    assert (len(server.requests), pauses) == (1, [])


def test_a_cut_answer_without_its_length_is_requested_again(project: Project, server: Api, pauses: list[float]) -> None:
    server.handle = lambda _: RECORDS
    server.answers = [lambda request: send_bytes(request, b'[{"id": 1, "te', length=False)]
    project.refresh(declared(server))
    assert (len(pauses), ids(project)) == (1, [1, 2, 3, 4, 5, 6, 7])


def test_a_wait_that_is_no_number_is_none(project: Project, server: Api, pauses: list[float]) -> None:
    server.handle = lambda _: RECORDS
    server.answers = [lambda request: send_bytes(request, b"", 429, b"\xb2")]
    project.refresh(declared(server))
    assert len(pauses) == 1


def send_bytes(request: Any, body: bytes, status: int = 200, wait: bytes = b"", *, length: bool = True) -> None:
    """Answer with these bytes, and end the connection."""
    lengths = b"Content-Length: %d\r\n" % len(body) if length else b""
    head = b"HTTP/1.1 %d OK\r\nRetry-After: %s\r\nConnection: close\r\n%s\r\n" % (status, wait, lengths)
    request.wfile.write(head + body)
    request.close_connection = True


def test_after_some_tries_or_a_long_wait_it_gives_up_and_keeps_what_it_has(
    project: Project, server: Api, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunegate.data.refresh.spool.PAGE_ROWS", 3)
    server.handle = by_cursor
    server.answers = [lambda request: send(request, by_cursor({})), *[broken_off] * http.TRIES]
    with pytest.raises(MachineError, match="RemoteProtocolError") as caught:
        project.refresh(declared(server, **CURSOR))
    assert "what was fetched is kept" in caught.value.remedy
    server.answers = [throttled("9999")]
    with pytest.raises(MachineError, match="asks to wait for 9999 seconds"):
        project.refresh(declared(server, **CURSOR))
    requests = len(server.requests)
    outcome = project.refresh(declared(server, **CURSOR))
    assert (outcome.resumed, outcome.received, ids(project)) == (3, 7, [1, 2, 3, 4, 5, 6, 7])
    assert [query["after"] for query in server.queries[requests:]] == ["3", "6"]


def test_rows_and_pages_that_come_twice_count_once(project: Project, server: Api) -> None:
    pages = [RECORDS[:3], RECORDS[:3], [{**RECORDS[2], "text": "Newer"}, RECORDS[3]], []]
    server.handle = lambda query: pages[int(query["page"]) - 1]
    outcome = project.refresh(declared(server, pagination={"kind": "page"}))
    assert (outcome.received, outcome.changes.fetched) == (8, 4)
    assert [(row["id"], row["text"]) for row in project.rows()][2:] == [(3, "Newer"), (4, "Question 4")]


def test_pages_that_lead_in_a_circle_end(project: Project, server: Api) -> None:
    server.handle = lambda query: {"items": [{"id": query.get("cursor", "")}], "next": "a"}
    circle = {"records": "items", "pagination": {"kind": "cursor", "next": "next"}}
    with pytest.raises(InputError, match="in a circle: 'a' comes for the second time"):
        project.refresh(declared(server, **circle))
    server.handle = lambda _: RECORDS
    with pytest.raises(InputError, match="the last 3 pages had come before: the pages lead in a circle"):
        project.refresh(declared(server, pagination={"kind": "page"}))
    assert not list(project.raw.glob("*")) if project.raw.exists() else True


def test_the_key_goes_to_its_host_alone(project: Project, server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELPDESK_TOKEN", "s3cret")
    server.handle = lambda _: RECORDS
    with api() as other:
        other.handle = lambda _: RECORDS
        for auth, header in (
            ({"bearer_env": "HELPDESK_TOKEN"}, "Bearer s3cret"),
            ({"header": "X-Key", "env": "HELPDESK_TOKEN"}, "s3cret"),
        ):
            server.answers = [
                lambda request: send(request, {}, 302, Location="/moved"),
                lambda request: send(request, {}, 307, Location=f"{other.url}/there"),
            ]
            project.refresh(declared(server, auth=auth), name=f"by-{len(header)}")
            assert [header in headers.values() for _, headers in server.requests] == [True, True]
            assert [header in headers.values() for _, headers in other.requests] == [False]
            server.requests.clear()
            other.requests.clear()


def test_a_refused_key_is_named_by_its_variable_and_never_shown(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declaration = declared(server, auth={"bearer_env": "HELPDESK_TOKEN"})
    with pytest.raises(InputError, match="HELPDESK_TOKEN is not set"):
        project.refresh(declaration)
    monkeypatch.setenv("HELPDESK_TOKEN", "s3cret")
    server.answers = [lambda request: send(request, {"your key": "s3cret"}, 401)]
    with pytest.raises(InputError, match=r"tickets\.rest: HTTP status 401") as caught:
        project.refresh(declaration)
    server.handle = lambda _: RECORDS
    project.refresh(declaration)
    written = b"".join(path.read_bytes() for path in Path().rglob("*") if path.is_file())
    assert "s3cret" not in str(caught.value) + str(capsys.readouterr()) + repr(written)


def test_a_key_that_no_header_can_hold_is_named_and_the_bare_one_is_in_no_error(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    declaration = declared(server, auth={"bearer_env": "HELPDESK_TOKEN"})
    monkeypatch.setenv("HELPDESK_TOKEN", "s3crét")
    with pytest.raises(InputError, match=r"rest\.auth: the environment variable HELPDESK_TOKEN has a character"):
        project.refresh(declaration)
    monkeypatch.setenv("HELPDESK_TOKEN", "s3cret")
    server.answers = [lambda request: send(request, {}, 302, Location="http://s3cret:99999999/")]
    with pytest.raises(InputError) as caught:
        project.refresh(declaration)
    moved = f"http://pw@{server.url[7:]}/x"
    server.answers = [lambda request: send(request, {}, 302, Location=moved)]
    with pytest.raises(InputError, match="redirect to an address with a user name") as other:
        project.refresh(declaration)
    assert "s3cret" not in str(caught.value)
    assert "pw@" not in str(other.value)


def test_an_answer_that_is_not_as_declared_is_an_error_that_says_what_is_there(project: Project, server: Api) -> None:
    server.handle = lambda _: {"items": RECORDS, "total": 7}
    with pytest.raises(InputError, match="no list of records at the top of the answer; its keys are items, total"):
        project.refresh(declared(server))
    server.handle = lambda _: [1, 2]
    with pytest.raises(InputError, match="a record must be an object"):
        project.refresh(declared(server))
    server.answers = [lambda request: send(request, {}, 404)]
    with pytest.raises(InputError, match="HTTP status 404 for GET /tickets: "):
        project.refresh(declared(server))
    server.handle = lambda _: [{"id": 1, "Id": 2}]
    with pytest.raises(InputError, match="differ only in case"):
        project.refresh(declared(server))


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BYTES", 100)
    server.handle = lambda _: RECORDS
    with pytest.raises(InputError, match="an answer of more than 100 bytes"):
        project.refresh(declared(server))


def test_later_refreshes_ask_only_for_what_is_new(project: Project, server: Api) -> None:
    declaration = declared(server, cursor={"column": "changed", "parameter": "since"})
    server.handle = lambda query: [r for r in RECORDS[:5] if str(r["changed"]) >= query.get("since", "")]
    project.refresh(declaration)
    assert project.record()["cursor"] == {"type": "text", "value": "2026-01-05"}
    before = project.state()
    assert project.refresh(declaration).changed is False
    server.handle = lambda _: []
    assert project.refresh(declaration).changed is False
    assert project.state() == before
    server.handle = lambda query: [r for r in RECORDS if str(r["changed"]) >= query["since"]]
    assert project.refresh(declaration).changes.added == 2
    assert server.queries[-1] == {"since": "2026-01-05"}
    server.handle = lambda _: RECORDS[:2]
    with pytest.raises(InputError, match="the largest 'changed' among what is new is 2026-01-02"):
        project.refresh(declaration)
    server.handle = lambda _: []
    with pytest.raises(RefusedError, match="the source has no rows, and had 7"):
        project.refresh(declaration, full=True)
    assert len(project.rows()) == 7


def test_a_column_that_is_gone_where_all_is_read_is_an_error(project: Project, server: Api) -> None:
    server.handle = lambda _: RECORDS
    project.refresh(declared(server))
    server.handle = lambda _: [{"id": record["id"], "Text ": "x", "changed": "y"} for record in RECORDS]
    with pytest.raises(InputError, match="column 'text': the column is gone; did you mean 'Text '"):
        project.refresh(declared(server))


def test_what_was_mended_at_the_source_is_read_again(
    project: Project, server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunegate.data.refresh.spool.PAGE_ROWS", 3)
    bad = [*RECORDS[:3], {**RECORDS[3], "text": 4}, *RECORDS[4:]]
    pages = {"pagination": {"kind": "page", "start": 0}}
    server.handle = lambda query: bad[3 * int(query["page"]) : 3 * int(query["page"]) + 3]
    with pytest.raises(InputError, match="values of kind"):
        project.refresh(declared(server, **pages))
    corrected = [{**record, "text": number} for number, record in enumerate(RECORDS)]
    server.handle = lambda query: corrected[3 * int(query["page"]) : 3 * int(query["page"]) + 3]
    assert [project.refresh(declared(server, **pages)).resumed, project.rows()[6]["text"]] == [0, 6]


def test_lists_and_objects_reach_the_rows_as_they_were(project: Project, server: Api) -> None:
    turns = [{"role": "user", "content": "Hej?"}, {"role": "assistant", "content": "Hej å"}]
    server.handle = lambda _: [{"id": 1, "messages": turns}, {"id": 2, "messages": None}]
    project.refresh(declared(server))
    assert project.record()["columns"] == {"id": "integer", "messages": "json"}
    read = read_records(Located(project.raw / "tickets.parquet", "tickets.parquet"))
    assert [record.values["messages"] for record in read] == [turns, None]


def test_a_password_in_the_address_is_refused_and_not_printed() -> None:
    rest = {"url": "https://user:s3cret@api.example.org/", "key": "id"}
    with pytest.raises(InputError) as caught:
        parse(Source, {"name": "a", "rest": rest}, place="data/sources.yaml", remedy="fix it")
    assert "without a password" in str(caught.value)
    assert "s3cret" not in str(caught.value)
