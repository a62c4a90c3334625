from typing import Any

import pytest

from tunegate.data.sources.json_records import JsonBatch
from tunegate.data.sources.preferences import from_preference
from tunegate.data.sources.values import Columns
from tunegate.errors import InputError

ASKED = [{"role": "user", "content": "Safe?"}]
YES, NO = ([{"role": "assistant", "content": text}] for text in ("Look first.", "Sure."))


def columns(*records: dict[str, Any]) -> Columns:
    return Columns(JsonBatch("a.jsonl", range(1, len(records) + 1), list(records)), {}, "mine.row")


def fault(*records: dict[str, Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        from_preference(columns(*records))
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Safe?", "chosen": "Look first.", "rejected": "Sure."},
        {"prompt": ASKED, "chosen": "Look first.", "rejected": "Sure."},
        {"prompt": ASKED, "chosen": YES, "rejected": NO},
        {"prompt": "Safe?", "chosen": YES, "rejected": NO},
        {"chosen": ASKED + YES, "rejected": ASKED + NO},
        {"prompt": "Safe?", "chosen": ASKED + YES, "rejected": ASKED + NO},
        {"prompt": ASKED, "chosen": ASKED + YES, "rejected": "Sure."},
    ],
)
def test_every_way_to_write_a_preference_gives_one_conversation_and_what_was_rejected(record: dict[str, Any]) -> None:
    preferences = from_preference(columns(record, record))
    assert preferences.chosen == [ASKED + YES] * 2
    assert preferences.rejected == ["Sure."] * 2


def test_an_answer_that_is_json_is_an_answer() -> None:
    preferences = from_preference(columns({"prompt": "List?", "chosen": '["a"]', "rejected": '[{"role": "x"}]'}))
    assert (preferences.chosen[0][-1]["content"], preferences.rejected) == ('["a"]', ['[{"role": "x"}]'])


@pytest.mark.parametrize(
    ("rejected", "where"),
    [
        ([{"role": "user", "content": "Hot?"}, *NO], 0),
        (ASKED + NO + ASKED + NO, 1),
        ([{"role": "system", "content": "Be brief."}, *ASKED, *NO], 0),
    ],
)
def test_answers_to_different_conversations_are_refused_with_where_they_part(rejected: Any, where: int) -> None:
    error = fault({"chosen": ASKED + YES, "rejected": ASKED + NO}, {"chosen": ASKED + YES, "rejected": rejected})
    assert error.place == "a.jsonl:2"
    assert error.problem == f"chosen and rejected differ before their last message: at messages[{where}]"


@pytest.mark.parametrize("last", [{"role": "user", "content": "No."}, {"role": "assistant", "content": " "}])
def test_a_conversation_that_rejects_nothing_is_refused(last: dict[str, str]) -> None:
    error = fault({"chosen": ASKED + YES, "rejected": [*ASKED, last]})
    assert (error.place, error.problem.split(":")[0]) == ("a.jsonl:1: rejected", "nothing is rejected")


def test_texts_without_a_prompt_or_an_answer_are_refused() -> None:
    assert fault({"chosen": "a", "rejected": "b"}).problem == "no column 'prompt'"
    assert fault({"prompt": "a?", "chosen": "a", "rejected": ""}).problem == "empty rejected"
