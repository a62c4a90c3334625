import pyarrow as pa

from tunegate.models.tokens.examples import IGNORED, TOKENS, Example, columns_of, examples_from

EXAMPLES = [
    Example("a", [1, 5, 9], [IGNORED, 5, 9], tasks={"source": "s", "language": "en"}),
    Example("b", [1, 5, 9, 2], [IGNORED, IGNORED, 9, 2], rejected=[7, 8, 2]),
    Example("c", [3], [IGNORED], target="roof"),
]


def test_examples_come_back_from_their_columns() -> None:
    assert examples_from(pa.Table.from_arrays(columns_of(EXAMPLES), schema=TOKENS)) == EXAMPLES
    assert examples_from(pa.Table.from_arrays(columns_of([]), schema=TOKENS)) == []


def test_lengths_count_both_answers_of_a_preference_each_after_the_prompt() -> None:
    assert [example.prompt for example in EXAMPLES] == [1, 2, 1]
    assert [example.length for example in EXAMPLES] == [3, 4 + 2 + 3, 1]
    assert [example.longest for example in EXAMPLES] == [3, 5, 1]
