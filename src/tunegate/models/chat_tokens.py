"""A conversation as token ids: the one way of training, evaluation and serving.

Control tokens, such as the one that ends a turn, are the template's alone: where a message says `<|im_end|>`, the
model reads these ten characters, and nobody can end his turn and speak as another. Control tokens are those that the
tokenizer calls special, and the marks that the template writes (`<think>`); the latter keep their meaning in messages
of the assistant, which is how a model learns to write them. Works on a `tokenizers.Tokenizer`, which transformers and
the server share; needs neither transformers nor torch. Reads and writes nothing.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tunegate.models.template import Message, Template

# Code points that Unicode reserves for a program's own use: no text has them, and where one does they are guarded too.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"


class ChatTokenizer:
    """A tokenizer and a chat template. Safe to share between threads."""

    def __init__(self, backend: Any, template: Template) -> None:
        self.template = template
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self._added = {number: token.content.strip().casefold() for number, token in added.items()}
        special = {token.content for token in added.values() if token.special} | {_OPEN, _CLOSE}
        written = {token.content for token in added.values() if template.writes(token.content)}
        self._control = {True: _any_of(special), False: _any_of(special | written)}
        self._names = {text: f"{_OPEN}{number}{_CLOSE}" for number, text in enumerate(sorted(special | written))}
        self._texts = {name: text for text, name in self._names.items()}
        self._plain = _without_added_tokens(backend)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation up to where the answer begins. Raises InputError when the template refuses."""
        return self._encode([self.template.render(self._guarded(messages), prompt=True)])[0]

    def pairs(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[list[int], list[int]]]:
        """(prompt, answer) of each conversation, whose last message is the answer.

        The two are tokenised apart, because that is what a model sees when it generates: it continues the prompt's
        tokens. Raises InputError when the template refuses a conversation or does not continue its prompt.
        """
        texts = [self.template.render_pair(self._guarded(messages)) for messages in conversations]
        prompts = self._encode([prompt for prompt, _ in texts])
        # Labels repeat: each is tokenised once.
        answers = list(dict.fromkeys(answer for _, answer in texts))
        known = dict(zip(answers, self._encode(answers), strict=True))
        return [(prompt, known[answer]) for prompt, (_, answer) in zip(prompts, texts, strict=True)]

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of what the messages say, without the template: for conversations that it refuses."""
        return sum(map(len, self._encode([message["content"] for message in self._guarded(messages)])))

    def _guarded(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with other names for control tokens: the template writes its own under their real ones."""

        def guard(role: str, content: str) -> str:
            return self._control[role == "assistant"].sub(lambda found: self._names[found.group()], content)

        return [{"role": m["role"], "content": guard(m["role"], m["content"])} for m in messages]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts; nothing is added."""
        plain = [text for text in texts if _OPEN not in text]
        encoded = iter(self._backend.encode_batch_fast(plain, add_special_tokens=False))
        return [next(encoded).ids if _OPEN not in text else list(self._encode_guarded(text)) for text in texts]

    def _encode_guarded(self, text: str) -> Iterator[int]:
        """Whatever the tokenizer still takes for an added token is the template's; what lies between is text."""
        whole = self._backend.encode(text, add_special_tokens=False)
        end, since = 0, list[int]()
        for token, (start, stop) in zip(whole.ids, whole.offsets, strict=True):
            if self._is_added(token, text[start:stop]):
                yield from self._between(text[end:start], since)
                yield token
                end, since = stop, []
            else:
                since.append(token)
        yield from self._between(text[end:], since)

    def _between(self, text: str, ids: list[int]) -> list[int]:
        if _OPEN not in text:
            return ids
        parts = [self._texts.get(part, part) for part in re.split(f"({_OPEN}\\d+{_CLOSE})", text)]
        whole = "".join(parts)
        encoded = self._plain.encode(whole, add_special_tokens=False)
        found: list[int] = encoded.ids
        places = zip(found, encoded.offsets, strict=True)
        if not any(self._is_added(token, whole[start:stop]) for token, (start, stop) in places):
            return found
        # A vocabulary may hold a control token's text as a word of its own: cut in two, it is none.
        cut = [piece for part in parts for piece in ((part[:1], part[1:]) if part in self._names else (part,))]
        return [token for piece in cut for token in self._plain.encode(piece, add_special_tokens=False).ids]

    def _is_added(self, token: int, text: str) -> bool:
        # The token for unknown words is an added one as well; it then stands for another text than its own.
        return self._added.get(token) == text.strip().casefold()


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that tokenising needs, as plain text: it can be sent to another machine."""

    tokenizer: str
    """The content of tokenizer.json."""
    template: str
    special: tuple[tuple[str, str], ...]
    eos: int
    """The token that ends an answer."""

    @classmethod
    def of(cls, tokenizer: Any) -> "Recipe":
        """That of a tokenizer of transformers."""
        special = tuple(sorted(tokenizer.special_tokens_map.items()))
        return cls(tokenizer.backend_tokenizer.to_str(), tokenizer.get_chat_template(), special, tokenizer.eos_token_id)

    def chat(self) -> ChatTokenizer:
        """The tokenizer, made once in a process."""
        return _chat(self)


@functools.lru_cache(maxsize=2)
def _chat(recipe: Recipe) -> ChatTokenizer:
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(recipe.tokenizer)
    backend.no_truncation()
    backend.no_padding()
    return ChatTokenizer(backend, Template(recipe.template, dict(recipe.special)))


def _without_added_tokens(backend: Any) -> Any:
    """The same tokenizer, to which control tokens are text like any other."""
    from tokenizers import Tokenizer

    nothing: dict[str, Any] = {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(json.loads(backend.to_str()) | nothing))


def _any_of(texts: Collection[str]) -> re.Pattern[str]:
    # The longest first, so that of two of which one begins with the other, the whole is guarded.
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=lambda text: (-len(text), text))))
