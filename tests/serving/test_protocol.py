from typing import Any

import pytest

from tunegate.params import parse
from tunegate.serving.protocol import ChatRequest, chunk, completion, usage

BODY = {"model": "m", "messages": [{"role": "user", "content": "hej"}]}


def request(**fields: Any) -> ChatRequest:
    return parse(ChatRequest, BODY | fields, place="body", remedy="")


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 3}, 3),
        ({"max_tokens": 5, "max_completion_tokens": 3}, 3),
    ],
)
def test_the_newer_limit_wins(fields: dict[str, int], limit: int | None) -> None:
    assert request(**fields).limit() == limit


def test_one_stop_string_is_a_list_of_one() -> None:
    assert [request(**fields).stops() for fields in ({}, {"stop": "a"}, {"stop": ["a", "b"]})] == [
        [],
        ["a"],
        ["a", "b"],
    ]


def test_a_reply_and_its_stream_have_the_same_identity_and_the_counts_add_up() -> None:
    identity = {"id": "i", "created": 1, "model": "m"}
    reply, event = completion(identity, "text", "stop", usage(3, 4)), chunk(identity, {"content": "t"})
    assert {name: reply[name] for name in identity} == {name: event[name] for name in identity} == identity
    assert reply["usage"]["total_tokens"] == 7
    assert reply["choices"][0]["message"]["content"] == "text"
