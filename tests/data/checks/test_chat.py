import pytest

from tunegate.data.checks.chat import is_well_formed


def talk(*turns: str) -> list[dict[str, str]]:
    """`user: Hello?` and so on."""
    said = [turn.split(":") for turn in turns]
    return [{"role": role, "content": content} for role, content in said]


@pytest.mark.parametrize(
    "turns",
    [("user:a", "assistant:b"), ("system:s", "user:a", "assistant:b"), ("user:a", "assistant:b") * 3],
)
def test_turns_that_alternate_and_end_with_the_assistant_are_well_formed(turns: tuple[str, ...]) -> None:
    assert is_well_formed(talk(*turns))


@pytest.mark.parametrize(
    "turns",
    [
        (),
        ("user:a",),
        ("system:s",),
        ("assistant:b",),
        ("system:s", "assistant:b"),
        ("assistant:a", "user:b"),
        ("user:a", "user:b", "assistant:c"),
        ("user:a", "assistant:b", "user:c"),
        ("user:a", "system:s", "assistant:b"),
        ("system:s", "system:s", "user:a", "assistant:b"),
        ("user: ", "assistant:b"),
        ("user:a", "assistant:"),
        ("system:\n", "user:a", "assistant:b"),
    ],
)
def test_any_other_order_and_an_empty_turn_are_not_well_formed(turns: tuple[str, ...]) -> None:
    assert not is_well_formed(talk(*turns))
