from pathlib import Path

from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.preview import spans_of


def test_an_example_is_shown_as_runs_of_read_and_trained_text(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    prompt, answer = (tokenizer(text, add_special_tokens=False).input_ids for text in ("värmepump? ", "heat på"))
    spans = spans_of(tokenizer, Example("a", prompt + answer, [-100] * len(prompt) + answer))
    assert [(span.text, span.trained) for span in spans] == [("värmepump? ", False), ("heat på", True)]
    assert sum(span.tokens for span in spans) == len(prompt) + len(answer)


def test_every_answer_of_a_conversation_is_a_piece(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    ids = tokenizer("one two one two", add_special_tokens=False).input_ids
    labels = [token if index % 2 else -100 for index, token in enumerate(ids)]
    assert [span.trained for span in spans_of(tokenizer, Example("a", ids, labels))] == [
        bool(index % 2) for index in range(len(ids))
    ]
