from pathlib import Path

from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import IGNORED
from tunegate.models.tokens.formats.prompts import Prompts

ROW = {"id": "a", "source": "s", "slices": [("language", "en")], "messages": None, "text": "it leaks", "label": "roof"}
TALK = [{"role": "user", "content": "it leaks"}, {"role": "assistant", "content": "which room?"}]


def test_a_prompt_ends_where_the_answer_begins_and_the_answer_stands_beside_it(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    rows = [
        ROW,
        ROW | {"id": "b", "label": None},
        ROW | {"id": "c", "text": None, "label": None, "messages": TALK},
    ]
    found = list(Prompts()(Recipe.of(tokenizer), rows))
    assert [example.id for example in found] == ["a", "b", "c"]
    assert [example.target for example in found] == ["roof", None, "which room?"]
    for example in found:
        assert tokenizer.decode(example.ids) == "<|im_start|>user\nit leaks<|im_end|>\n<|im_start|>assistant\n"
        assert set(example.labels) == {IGNORED}
        assert example.prompt == len(example.ids)
        assert example.tasks == {"language": "en", "source": "s"}
