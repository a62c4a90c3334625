"""Conversations to token ids and token ids back to text, exactly as in training, without transformers.

Reads `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` of a package. Template and tokenisation are
those of training, so that the two cannot differ by construction: a control token in a request is text here too. A test
compares prompts with those of transformers all the same.
"""

from pathlib import Path
from typing import Any

from tunegate.errors import InputError
from tunegate.files import read_json, read_text
from tunegate.models.folders import TEMPLATE
from tunegate.models.tokens.chat_tokens import ChatTokenizer
from tunegate.models.tokens.template import Message, Template

_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


class Chat:
    """The tokenizer and chat template of one package. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special = _special_tokens(read_json(folder / "tokenizer_config.json"))
        self._chat = ChatTokenizer(self._tokenizer, Template(_template(folder), self._special))
        self.eos_id = self._id_of_eos(folder)

    def prompt_ids(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation's prompt. Raises InputError when the template refuses."""
        return self._chat.prompt_ids(messages)

    def decode(self, ids: list[int]) -> str:
        """The text of an answer, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def decoder(self) -> "Decoder":
        """A decoder for one answer that arrives token by token."""
        return Decoder(self._tokenizer)

    def _id_of_eos(self, folder: Path) -> int:
        token = self._special.get("eos_token", "")
        number = self._tokenizer.token_to_id(token)
        if number is None:
            place = str(folder / "tokenizer_config.json: eos_token")
            raise InputError(f"no such token (got {token!r})", place=place, remedy="run `dvc repro package`")
        return int(number)


def _template(folder: Path) -> str:
    path = folder / TEMPLATE
    if not path.is_file():
        problem = "this package has no chat template, so that it answers no conversations"
        remedy = "name a `template` of the base in models/catalog.yaml and run `dvc repro`"
        raise InputError(problem, place=str(path), remedy=remedy)
    return read_text(path)


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
    tokens = {}
    for role in _ROLES:
        token = settings.get(f"{role}_token")
        token = token["content"] if isinstance(token, dict) else token
        if token is not None:
            tokens[f"{role}_token"] = token
    return tokens
