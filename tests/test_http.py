import json
import socket
from collections.abc import Iterator

import pytest
from forge_stub import TOKEN, Stub, serve

from tunegate.errors import InputError, MachineError
from tunegate.http import TRIES, JsonClient, NotFoundError, is_cut

REVIEWS = "repos/firm/desk/pulls/7/reviews"
COMMENTS = "repos/firm/desk/issues/7/comments"
WHOLE = '[{"id": 1, "text": "\\u00e5 å", "n": -1.5, "open": true, "m": {"a": []}}]'.encode()


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serve() as served:
        yield served


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client would make; none is made."""
    seconds: list[float] = []
    monkeypatch.setattr("tunegate.http.sleep", seconds.append)
    return seconds


def client(stub: Stub, token: str = TOKEN) -> JsonClient:
    return JsonClient(stub.url, {"Authorization": f"Bearer {token}"}, remedies={401: "set it again", 503: "later"})


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_with_growing_pauses(stub: Stub, pauses: list[float], code: int) -> None:
    stub.failures = [(code, {}, "busy")] * 3
    assert client(stub).get(REVIEWS) == []
    assert [0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses)] == [True] * 3


def test_the_pause_is_the_one_that_the_server_asks_for(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(429, {"Retry-After": "17"}, ""), (403, {"Retry-After": "5"}, "")]
    assert client(stub).get(REVIEWS) == []
    assert pauses == [17, 5]


def test_a_wait_of_many_minutes_is_an_error_that_says_how_long(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(429, {"Retry-After": "3600"}, "")]
    with pytest.raises(MachineError, match="429, and it asks to wait for 3600 seconds"):
        client(stub).get(REVIEWS)
    assert pauses == []


def test_a_spent_rate_limit_waits_for_its_reset(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, "")]
    assert client(stub).get(REVIEWS) == []
    assert pauses == [1.0]


def test_a_server_that_stays_busy_ends_with_an_error(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(503, {}, "")] * TRIES
    with pytest.raises(MachineError, match=r"no answer to GET /repos/.*: HTTP status 503") as error:
        client(stub).get(REVIEWS)
    assert (error.value.place, error.value.remedy) == (stub.url, "later")
    assert len(pauses) == TRIES - 1


def test_an_address_where_nothing_listens_ends_with_an_error(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MachineError, match="refused"):
        JsonClient(f"http://127.0.0.1:{port}", {}).get("user")
    assert len(pauses) == TRIES - 1


def test_every_page_is_read(stub: Stub, pauses: list[float]) -> None:
    stub.reviews = [{"id": number} for number in range(5)]
    assert [review["id"] for review in client(stub).pages(REVIEWS)] == [0, 1, 2, 3, 4]


def test_a_next_page_elsewhere_does_not_get_the_token(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(200, {"Link": '<https://elsewhere.example/steal>; rel="next"'}, "[]")]
    with pytest.raises(InputError, match=r"the next page is on another host: 'elsewhere\.example'"):
        list(client(stub).pages(REVIEWS))


def test_a_redirect_is_followed_where_nothing_is_sent_and_never_with_the_token_to_another_host(
    stub: Stub, pauses: list[float]
) -> None:
    with serve() as other:
        stub.failures = [(307, {"Location": f"/{REVIEWS}"}, "")]
        assert client(stub).get(REVIEWS) == []
        stub.failures = [(307, {"Location": f"{other.url}/{REVIEWS}"}, "")]
        with pytest.raises(InputError, match="HTTP status 401") as error:
            client(stub).get(REVIEWS)
        assert (other.asked, TOKEN in str(error.value)) == ([f"GET {REVIEWS}"], False)
        stub.failures = [(307, {"Location": f"{other.url}/{COMMENTS}"}, "")]
        with pytest.raises(InputError, match="a redirect of a POST request"):
            client(stub).send("POST", COMMENTS, {"body": "x"})
        stub.failures = [(302, {"Location": f"/{REVIEWS}"}, "")] * 6
        with pytest.raises(InputError, match="more than 5 redirects"):
            client(stub).get(REVIEWS)
        assert len(other.asked) == 1


def test_a_bad_token_is_an_error_that_does_not_show_it(stub: Stub, pauses: list[float]) -> None:
    with pytest.raises(InputError, match=r"HTTP status 401 for GET /.*: Bad credentials") as error:
        client(stub, token="pw").get(REVIEWS)
    assert "pw" not in str(error.value), "the stub sends the token back"
    assert "***" in str(error.value)


def test_a_token_with_a_line_break_is_refused_unseen(stub: Stub) -> None:
    with pytest.raises(InputError, match="line break") as error:
        JsonClient(stub.url, {"Authorization": "Bearer pw\nX: y"})
    assert "pw" not in str(error.value)


def test_a_missing_permission_and_a_missing_thing_are_told_apart(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(403, {}, '{"message": "Resource not accessible by integration"}')]
    with pytest.raises(InputError, match=r"HTTP status 403 .*: Resource not accessible"):
        client(stub).get(REVIEWS)
    with pytest.raises(NotFoundError, match="HTTP status 404"):
        client(stub).get("repos/firm/desk/nothing")
    assert pauses == []


def test_what_may_not_be_repeated_is_sent_once(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(502, {}, "")]
    with pytest.raises(MachineError, match="HTTP status 502"):
        client(stub).send("POST", COMMENTS, {"body": "x"}, repeatable=False)
    stub.failures = [(429, {}, "")]
    client(stub).send("POST", COMMENTS, {"body": "x"}, repeatable=False)
    assert len(stub.comments) == 1, "429 says that nothing was done"


def test_an_answer_that_is_not_json_is_an_error(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(200, {}, "<html>")]
    with pytest.raises(InputError, match="not valid JSON"):
        client(stub).get(REVIEWS)


@pytest.mark.parametrize("url", ["", "ftp://host", "file:///etc", "host", "http://host:99999999/"])
def test_only_an_http_address_is_accepted(url: str) -> None:
    with pytest.raises(InputError, match=r"not an HTTP address|invalid host or port"):
        JsonClient(url, {})


def test_what_is_sent_arrives_as_json(stub: Stub, pauses: list[float]) -> None:
    client(stub).send("POST", COMMENTS, {"body": "värme ✓"})
    assert json.loads(json.dumps(stub.comments[0]))["body"] == "värme ✓"


def test_a_cut_answer_is_recognised_wherever_it_is_cut() -> None:
    assert [length for length in range(len(WHOLE) + 1) if not is_cut(WHOLE[:length])] == [len(WHOLE)]


@pytest.mark.parametrize(
    ("code", "headers", "body", "problem"),
    [
        (302, {"Location": "http://other:pw@127.0.0.1/"}, "", "user name"),
        (200, {"Content-Encoding": "gzip, gzip"}, "[]", "compressed more than once"),
        (200, {}, "null", "not a list"),
        (200, {"Link": '<http://[::1/x>; rel="next"'}, "[]", "next page"),
    ],
)
def test_what_a_server_may_not_answer_is_refused_at_once(
    stub: Stub, pauses: list[float], code: int, headers: dict[str, str], body: str, problem: str
) -> None:
    stub.failures = [(code, headers, body)]
    with pytest.raises(InputError, match=problem):
        list(client(stub).pages(REVIEWS))
    assert pauses == []


def test_cookies_are_not_kept(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(200, {"Set-Cookie": "sid=abc"}, "[]")]
    asking = client(stub)
    assert asking.get(REVIEWS) == []
    assert not list(asking._client.cookies.jar)


def test_an_answer_that_never_ends_is_given_up(
    stub: Stub, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunegate.http.ANSWER_SECONDS", -1.0)
    with pytest.raises(MachineError, match="took more than"):
        client(stub).get(REVIEWS)
    assert len(pauses) == TRIES - 1
