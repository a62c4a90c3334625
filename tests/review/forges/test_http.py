import json
import socket

import pytest
from forge_stub import TOKEN, Stub

from tunegate.errors import InputError, MachineError
from tunegate.review.forges.http import TRIES, Api, NotFoundError

REVIEWS = "repos/firm/desk/pulls/7/reviews"


def api(stub: Stub, pauses: list[float], token: str = TOKEN) -> Api:
    return Api(stub.url, {"Authorization": f"Bearer {token}"}, pause=pauses.append)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_forge_is_asked_again_with_growing_pauses(stub: Stub, pauses: list[float], code: int) -> None:
    stub.failures = [(code, {}, "busy")] * 2
    assert api(stub, pauses).get(REVIEWS) == []
    assert pauses == [2, 4]


def test_the_pause_is_the_one_that_the_forge_asks_for(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(429, {"Retry-After": "17"}, ""), (403, {"Retry-After": "5"}, "")]
    assert api(stub, pauses).get(REVIEWS) == []
    assert pauses == [17, 5]


def test_a_pause_of_many_minutes_ends_the_job_and_says_how_long(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(429, {"Retry-After": "3600"}, "")]
    with pytest.raises(MachineError, match="answers 429, and asks to wait 3600 s"):
        api(stub, pauses).get(REVIEWS)
    assert pauses == []


def test_a_spent_rate_limit_waits_for_its_reset(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, "")]
    assert api(stub, pauses).get(REVIEWS) == []
    assert pauses == [1.0]


def test_a_forge_that_stays_busy_ends_with_an_error(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(503, {}, "")] * TRIES
    with pytest.raises(MachineError, match=f"GET /{REVIEWS}: the forge answers 503"):
        api(stub, pauses).get(REVIEWS)
    assert len(pauses) == TRIES - 1


def test_nobody_listening_ends_with_an_error(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MachineError, match=r"the forge no answer: .*refused"):
        Api(f"http://127.0.0.1:{port}", {}, pause=pauses.append).get("user")
    assert len(pauses) == TRIES - 1


def test_every_page_is_read(stub: Stub, pauses: list[float]) -> None:
    stub.reviews = [{"id": number} for number in range(5)]
    assert [review["id"] for review in api(stub, pauses).pages(REVIEWS)] == [0, 1, 2, 3, 4]


def test_a_next_page_elsewhere_does_not_get_the_token(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(200, {"Link": '<https://elsewhere.example/steal>; rel="next"'}, "[]")]
    with pytest.raises(InputError, match=r"the next page is on another host \(elsewhere.example\)"):
        list(api(stub, pauses).pages(REVIEWS))


def test_a_redirect_is_not_followed(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(307, {"Location": f"{stub.url}/{REVIEWS}"}, "")]
    with pytest.raises(InputError, match=r"redirected \(307\)"):
        api(stub, pauses).get(REVIEWS)
    assert len(stub.asked) == 1


def test_a_bad_token_is_an_error_that_does_not_show_it(stub: Stub, pauses: list[float]) -> None:
    with pytest.raises(InputError, match=r"the token is not accepted \(401\): Bad credentials") as caught:
        api(stub, pauses, token="pw").get(REVIEWS)
    assert "pw" not in str(caught.value), "the stub sends the token back"
    assert "***" in str(caught.value)


def test_a_token_with_a_line_break_is_refused_unseen(stub: Stub) -> None:
    with pytest.raises(InputError, match="line break") as caught:
        Api(stub.url, {"Authorization": "Bearer pw\nX: y"})
    assert "pw" not in str(caught.value)


def test_a_missing_permission_and_a_missing_thing_are_told_apart(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(403, {}, '{"message": "Resource not accessible by integration"}')]
    with pytest.raises(InputError, match=r"not permitted \(403\): Resource not accessible"):
        api(stub, pauses).get(REVIEWS)
    with pytest.raises(NotFoundError, match=r"not found \(404\)"):
        api(stub, pauses).get("repos/firm/desk/nothing")
    assert pauses == []


def test_what_may_not_be_repeated_is_sent_once(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(502, {}, "")]
    with pytest.raises(MachineError, match="answers 502"):
        api(stub, pauses).send("POST", "repos/firm/desk/issues/7/comments", {"body": "x"}, repeatable=False)
    stub.failures = [(429, {}, "")]
    api(stub, pauses).send("POST", "repos/firm/desk/issues/7/comments", {"body": "x"}, repeatable=False)
    assert len(stub.comments) == 1, "429 says that nothing was done"


def test_an_answer_that_is_not_json_is_an_error(stub: Stub, pauses: list[float]) -> None:
    stub.failures = [(200, {}, "<html>")]
    with pytest.raises(InputError, match="not valid JSON"):
        api(stub, pauses).get(REVIEWS)


@pytest.mark.parametrize("url", ["", "ftp://host", "file:///etc", "host"])
def test_only_an_http_address_is_a_rest_interface(url: str) -> None:
    with pytest.raises(InputError, match="not an address of a REST interface"):
        Api(url, {})


def test_what_is_sent_arrives_as_json(stub: Stub, pauses: list[float]) -> None:
    api(stub, pauses).send("POST", "repos/firm/desk/issues/7/comments", {"body": "värme ✓"})
    assert json.loads(json.dumps(stub.comments[0]))["body"] == "värme ✓"
