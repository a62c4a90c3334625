from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.sources.conversations import from_alpaca, from_openai, from_sharegpt
from tunegate.data.sources.json_records import JsonBatch
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError

Format = Callable[[Columns], list[list[dict[str, str]]]]


def columns(*records: dict[str, Any]) -> Columns:
    return Columns(JsonBatch("a.jsonl", range(1, len(records) + 1), list(records)), {}, "mine.row")


def conversation(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def test_alpaca_puts_the_input_below_the_instruction() -> None:
    records = [
        {"instruction": "Translate.", "input": "tak", "output": "roof"},
        {"instruction": "Greet.", "input": "", "output": "Hello."},
        {"instruction": "Greet.", "output": "Hi.", "system": "Be brief."},
    ]
    assert from_alpaca(columns(*records)) == [
        conversation(("user", "Translate.\n\ntak"), ("assistant", "roof")),
        conversation(("user", "Greet."), ("assistant", "Hello.")),
        conversation(("system", "Be brief."), ("user", "Greet."), ("assistant", "Hi.")),
    ]


def test_sharegpt_has_its_own_names_for_who_speaks() -> None:
    turns = [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "b", "markdown": None}]
    records = [{"conversations": turns}, {"conversations": turns, "system": "Be brief."}]
    assert from_sharegpt(columns(*records)) == [
        conversation(("user", "a?"), ("assistant", "b")),
        conversation(("system", "Be brief."), ("user", "a?"), ("assistant", "b")),
    ]


def test_openai_parts_of_text_are_joined_and_a_developer_is_the_system() -> None:
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b?"}]},
        {"role": "assistant", "content": "c", "tool_calls": None},
    ]
    assert from_openai(columns({"messages": turns, "tools": []})) == [
        conversation(("system", "Be brief."), ("user", "ab?"), ("assistant", "c"))
    ]


def test_messages_may_be_json_in_a_text_as_databases_give_them() -> None:
    assert from_openai(columns({"messages": '[{"role": "user", "content": "a?"}]'})) == [conversation(("user", "a?"))]


USER = {"role": "user", "content": "a?"}
HUMAN = {"from": "human", "value": "a?"}


@pytest.mark.parametrize(
    ("read", "record", "place", "problem"),
    [
        (from_openai, {"messages": [USER, {"role": "tool", "content": "3"}]}, ": messages[1]", "unknown role 'tool'"),
        (
            from_openai,
            {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{}]}]},
            ": messages[1]",
            "unknown key 'tool_calls'",
        ),
        (from_openai, {"messages": [USER | {"name": "Bo"}]}, ": messages[0]", "unknown key 'name'"),
        (from_openai, {"messages": [USER], "tools": [{"type": "function"}]}, "", "'tools' is not trained on"),
        (
            from_openai,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            ": messages[0].content[0]",
            "not a part of type text (got 'image_url')",
        ),
        (from_openai, {"messages": '[{"role": '}, ": messages:11", "not valid JSON: Expecting value"),
        (
            from_sharegpt,
            {"conversations": [HUMAN, {"from": "bot", "value": "b"}]},
            ": conversations[1]",
            "unknown role 'bot'",
        ),
        (from_sharegpt, {"conversations": [USER]}, ": conversations[0]", "no from and value (got "),
        (from_sharegpt, {"conversations": [HUMAN], "tools": "[{}]"}, "", "'tools' is not trained on"),
        (from_sharegpt, {"conversation": [HUMAN]}, "", "no column 'conversations'; did you mean 'conversation'?"),
        (from_alpaca, {"instruction": "a", "output": " "}, "", "empty output"),
        (
            from_alpaca,
            {"instruction": "a", "output": "b", "history": [["c", "d"]]},
            "",
            "'history' is not trained on (got [['c', 'd']])",
        ),
    ],
)
def test_what_would_be_lost_of_a_conversation_is_refused(
    read: Format, record: dict[str, Any], place: str, problem: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(columns(record))
    assert caught.value.place == f"a.jsonl:1{place}"
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy
