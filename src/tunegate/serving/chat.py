"""Conversations to token ids and token ids back to text, exactly as in training, without transformers.

Reads `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` of a package. The template runs in the same
sandbox, with the same globals and filters, as transformers gives it, and the tokenizer is the very library that
transformers calls, so that training and serving cannot differ by construction; a test compares them all the same.
It does not know the model.
"""

import datetime
import json
from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import read_json, read_text

Message = dict[str, str]
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


class Chat:
    """The tokenizer and chat template of one package. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special = _special_tokens(read_json(folder / "tokenizer_config.json"))
        self._template = _compile(read_text(folder / "chat_template.jinja"))
        self.eos_id = self._id_of_eos(folder)

    def render(self, messages: list[Message]) -> str:
        """The prompt's text, ending where the answer begins. Raises InputError when the template refuses."""
        from jinja2 import TemplateError

        try:
            text: str = self._template.render(
                messages=messages, tools=None, documents=None, add_generation_prompt=True, **self._special
            )
        except TemplateError as error:
            remedy = "send the turns in the order that the model was trained on"
            raise InputError(f"the chat template refuses: {error.message}", place="messages", remedy=remedy) from None
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of a rendered prompt; nothing is added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def prompt_ids(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation's prompt."""
        return self.encode(self.render(messages))

    def decode(self, ids: list[int]) -> str:
        """The text of an answer, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def decoder(self) -> "Decoder":
        """A decoder for one answer that arrives token by token."""
        return Decoder(self._tokenizer)

    def _id_of_eos(self, folder: Path) -> int:
        token = self._special.get("eos_token", "")
        found = self._tokenizer.token_to_id(token)
        if found is None:
            place = str(folder / "tokenizer_config.json: eos_token")
            raise InputError(f"no such token (got {token!r})", place=place, remedy="run `dvc repro package`")
        return int(found)


class Decoder:
    """Text of a growing answer: a character is given out when all its bytes have arrived."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._given = ""

    def push(self, tokens: list[int]) -> str:
        """The text that these tokens complete; often empty."""
        text = "".join(self._stream.step(self._tokenizer, token) or "" for token in tokens)
        self._ids += tokens
        self._given += text
        return text

    def end(self) -> str:
        """What is left when no token follows: a character whose last bytes never came."""
        whole: str = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        return whole.removeprefix(self._given) if whole.startswith(self._given) else ""


def _special_tokens(settings: dict[str, Any]) -> dict[str, str]:
    found = {}
    for role in _ROLES:
        token = settings.get(f"{role}_token")
        token = token["content"] if isinstance(token, dict) else token
        if token is not None:
            found[f"{role}_token"] = token
    return found


def _compile(source: str) -> Any:
    from jinja2 import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node, Scope
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        # Training masks by this tag; here its body is plain output.
        tags: set[str] = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> Node:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, **how: Any) -> str:
        return json.dumps(value, **({"ensure_ascii": False} | how))

    def strftime_now(pattern: str) -> str:
        return datetime.datetime.now().strftime(pattern)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return environment.from_string(source)
