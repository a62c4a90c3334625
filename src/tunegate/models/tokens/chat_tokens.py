"""A conversation as token ids: the same code in training, evaluation and serving.

Control tokens, such as the one that ends a turn, are the template's alone: where a message says `<|im_end|>`, the
model reads these ten characters, and no user can end a turn and write as another role. Control tokens are those that
the tokenizer calls special, and the marks that the template writes (`<think>`); the latter keep their meaning in
messages of the assistant, which is how a model learns to write them. What was encoded is checked: it has the control
tokens of the same conversation with neutral messages. Works on a `tokenizers.Tokenizer`, which transformers and the
server share; needs neither transformers nor torch.
"""

import dataclasses
import functools
import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.models.tokens.template import Message, Template

# Noncharacters (Unicode 23.7), for a program's own use: where a text has them all the same, they are escaped too.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_DIGITS = {ord(digit): 0xFDD2 + number for number, digit in enumerate("0123456789abcdef")}
_HEX = {inner: digit for digit, inner in _DIGITS.items()}
_ESCAPED = re.compile(f"({_OPEN}[^{_CLOSE}]*{_CLOSE})")
_CACHED_SHAPES = 1024

Shape = tuple[tuple[str, str], ...]
"""The role of each message, and a neutral content in place of its own."""

Cut = Literal["prompt", "last", "all"]
"""Where a conversation is cut: nowhere, for it is a prompt; before its last answer; or around every answer."""


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
        self._marks = _any_of(written - special)
        numbers = {number for number, token in added.items() if token.content in special | written}
        content = json.loads(backend.to_str())
        self._numbers = frozenset(numbers - {_unknown(backend, content["model"])})
        self._plain = _without_added_tokens(content)
        self._expected = functools.lru_cache(_CACHED_SHAPES)(self._controls_of)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation up to where the answer begins.

        Raises InputError when the template refuses, and for contents that cannot be told from control tokens.
        """
        return self._ids([messages], "prompt")[0][0]

    def pairs(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[list[int], list[int]]]:
        """(prompt, answer) of each conversation, whose last message is the answer.

        The two are tokenised apart, because that is what a model sees when it generates: it continues the prompt's
        tokens. Raises InputError when the template refuses a conversation or does not continue its prompt, and for
        contents that cannot be told from control tokens.
        """
        return [(prompt, answer) for prompt, answer in self._ids(conversations, "last")]

    def turns(self, conversations: Sequence[Sequence[Message]]) -> list[list[list[int]]]:
        """[prompt, answer, prompt, answer, …] of each conversation: every turn of the assistant is an answer.

        The answers are as `pairs` would give them, each in its turn. Raises InputError as `pairs` does, and where the
        template writes earlier turns in another way once others follow.
        """
        return self._ids(conversations, "all")

    def text_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts that are no conversation: without the template, with control tokens as text.

        Raises InputError for a text that cannot be told from control tokens.
        """
        encoded = self._encode([self._escape("", text) for text in texts])
        return [
            self._spelled_text(text) if any(self._controls([ids])) else ids
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def frame(self) -> tuple[list[int], list[int]]:
        """What the tokenizer itself writes before a text and behind it, such as [CLS] and [SEP]."""
        text = self._backend.encode("a", add_special_tokens=False).ids
        whole = self._backend.encode("a", add_special_tokens=True).ids
        start = next(at for at in range(len(whole)) if whole[at : at + len(text)] == text)
        return whole[:start], whole[start + len(text) :]

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of what the messages say, without the template: for conversations that it refuses."""
        return sum(map(len, self._encode([message["content"] for message in self._escaped(messages)])))

    def number_of(self, token: str) -> int | None:
        """The id of a token; None where the vocabulary does not have it."""
        number: int | None = self._backend.token_to_id(token)
        return number

    def _ids(self, conversations: Sequence[Sequence[Message]], cut: Cut) -> list[list[list[int]]]:
        """Token ids of the parts of each conversation, all of whose control tokens are the template's."""
        parts = [self._render(self._escaped(messages), cut) for messages in conversations]
        # Labels repeat: each text is tokenised once.
        texts = list(dict.fromkeys(itertools.chain.from_iterable(parts)))
        ids_of = dict(zip(texts, self._encode(texts), strict=True))
        encoded = [[ids_of[text] for text in texts] for texts in parts]
        return [
            ids if self._controls(ids) == self._expected(self._shape(messages), cut) else self._spelled(messages, cut)
            for messages, ids in zip(conversations, encoded, strict=True)
        ]

    def _spelled(self, messages: Sequence[Message], cut: Cut) -> list[list[int]]:
        """The same with every character escaped.

        A normaliser can make a control token of other characters (full width, capitals), and a template that puts
        contents side by side can make one of two halves.
        """
        spelled = [{"role": m["role"], "content": self._spell(m["role"], m["content"])} for m in messages]
        ids = self._encode(self._render(spelled, cut))
        if self._controls(ids) != self._expected(self._shape(messages), cut):
            raise _ambiguous("messages", "the messages say")
        return ids

    def _spelled_text(self, text: str) -> list[int]:
        (ids,) = self._encode([self._spell("", text)])
        if any(self._controls([ids])):
            raise _ambiguous("text", "the text says")
        return ids

    def _render(self, messages: Sequence[Message], cut: Cut) -> tuple[str, ...]:
        match cut:
            case "prompt":
                return (self.template.render(messages, prompt=True),)
            case "last":
                return self.template.render_pair(messages)
            case "all":
                return self.template.render_turns(messages)

    def _shape(self, messages: Sequence[Message]) -> Shape:
        return tuple((m["role"], self._neutral(m["role"], m["content"])) for m in messages)

    def _neutral(self, role: str, content: str) -> str:
        if not content.strip():
            return content
        marks = self._marks.findall(content) if role == "assistant" else []
        return "x".join(["", *marks, ""])

    def _controls_of(self, shape: Shape, cut: Cut) -> list[list[int]]:
        texts = self._render([{"role": role, "content": content} for role, content in shape], cut)
        return self._controls(self._encode(texts))

    def _controls(self, parts: Sequence[Sequence[int]]) -> list[list[int]]:
        return [list(filter(self._numbers.__contains__, ids)) for ids in parts]

    def _escaped(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with their control tokens escaped: those that remain are the template's."""
        return [{"role": m["role"], "content": self._escape(m["role"], m["content"])} for m in messages]

    def _escape(self, role: str, content: str) -> str:
        return self._control[role == "assistant"].sub(lambda match: _escape_text(match.group()), content)

    def _spell(self, role: str, content: str) -> str:
        kept = self._marks.findall(content) if role == "assistant" else []
        parts = self._marks.split(content) if role == "assistant" else [content]
        escaped = [re.sub(r"\S", lambda match: _escape_text(match.group()), part) for part in parts]
        return "".join(part + mark for part, mark in itertools.zip_longest(escaped, kept, fillvalue=""))

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts; nothing is added."""
        plain = [text for text in texts if _OPEN not in text]
        encoded = iter(self._backend.encode_batch_fast(plain, add_special_tokens=False))
        return [next(encoded).ids if _OPEN not in text else list(self._encode_escaped(text)) for text in texts]

    def _encode_escaped(self, text: str) -> Iterator[int]:
        """What the tokenizer still takes for an added token is the template's; what lies between is text."""
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
        split = [part for part in _ESCAPED.split(text) if part]
        parts = [_unescape_text(part) if part.startswith(_OPEN) else part for part in split]
        encoded: list[int] = self._plain.encode("".join(parts), add_special_tokens=False).ids
        if self._numbers.isdisjoint(encoded):
            return encoded
        # A vocabulary may hold a control token's text as a word of its own: cut in two, it is not one.
        cut = [
            piece
            for name, part in zip(split, parts, strict=True)
            for piece in ((part[:1], part[1:]) if name.startswith(_OPEN) else (part,))
        ]
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
    """The chat template; empty where the base has none, as encoders and models of raw text do."""
    special: tuple[tuple[str, str], ...]
    eos: int
    """The token that ends an answer; -1 where the base names none."""

    @classmethod
    def of(cls, tokenizer: Any) -> "Recipe":
        """That of a tokenizer of transformers."""
        special = tuple(sorted(tokenizer.special_tokens_map.items()))
        template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
        eos = -1 if tokenizer.eos_token_id is None else tokenizer.eos_token_id
        return cls(tokenizer.backend_tokenizer.to_str(), template, special, eos)

    def chat(self) -> ChatTokenizer:
        """The tokenizer of conversations. Raises InputError when the base has no chat template."""
        if not self.template:
            remedy = (
                "choose an instruction-tuned base, put a template into models/templates and name it as `template` of "
            )
            remedy += "the entry in models/catalog.yaml, or set train.technique to pretrain or classify"
            raise InputError("the base model has no chat template", place="models/base", remedy=remedy)
        return self.text()

    def text(self) -> ChatTokenizer:
        """The same for texts that are no conversation: no template is needed. Made once in a process."""
        return _chat(self)


@functools.lru_cache(maxsize=2)
def _chat(recipe: Recipe) -> ChatTokenizer:
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(recipe.tokenizer)
    backend.no_truncation()
    backend.no_padding()
    return ChatTokenizer(backend, Template(recipe.template, dict(recipe.special)))


def _ambiguous(place: str, what: str) -> InputError:
    problem = f"what {what} cannot be told from the control tokens of the chat template"
    return InputError(problem, place=place, remedy="leave control tokens out of the text")


def _without_added_tokens(content: dict[str, Any]) -> Any:
    """The same tokenizer, to which control tokens are text like any other."""
    from tokenizers import Tokenizer

    nothing: dict[str, Any] = {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(content | nothing))


def _unknown(backend: Any, model: dict[str, Any]) -> Any:
    """The token for what the vocabulary does not have: any text may make it."""
    name = model.get("unk_token")
    return model.get("unk_id") if name is None else backend.token_to_id(name)


def _escape_text(text: str) -> str:
    return f"{_OPEN}{text.encode().hex().translate(_DIGITS)}{_CLOSE}"


def _unescape_text(name: str) -> str:
    return bytes.fromhex(name[1:-1].translate(_HEX)).decode()


def _any_of(texts: Collection[str]) -> re.Pattern[str]:
    # The longest first, so that where one token begins with another, the whole is escaped.
    longest = sorted(texts, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest)) or "(?!)")
