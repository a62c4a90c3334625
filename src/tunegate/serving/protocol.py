"""The part of OpenAI's chat completions that this service speaks: closed requests, and replies as plain objects.

A field that would change the answer and is not supported is refused, not ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from tunegate.params import Closed

Text = Annotated[str, Field(min_length=1)]


class TextPart(Closed):
    """A piece of a message's content."""

    type: Literal["text"]
    text: str


class Turn(Closed):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str | list[TextPart]

    def plain(self) -> dict[str, str]:
        """Role and content as the chat template takes them."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": self.role, "content": content}


class StreamOptions(Closed):
    """What a stream holds besides text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(Closed):
    """Only plain text."""

    type: Literal["text"]


class ChatRequest(Closed):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[Turn], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Absent or 0: greedy, the most probable token every time."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    """Accepted and not used."""
    n: Literal[1] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    response_format: ResponseFormat | None = None

    def stops(self) -> list[str]:
        """The stop strings."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    def limit(self) -> int | None:
        """The requested limit of new tokens, if any."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Counts of tokens."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def completion(identity: dict[str, Any], text: str, finish: str, counts: dict[str, int]) -> dict[str, Any]:
    """The reply to a plain request. `identity` is id, created and model."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return identity | {"object": "chat.completion", "choices": [choice], "usage": counts}


def chunk(identity: dict[str, Any], delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return identity | {"object": "chat.completion.chunk", "choices": [choice]}


def failure(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> dict[str, JsonValue]:
    """An error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
