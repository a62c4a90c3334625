"""The one ASGI application of the service: OpenAI's chat completions, the list of models, the lineage.

It owns every path that is not a probe, caps and parses bodies itself, answers errors in OpenAI's shape and cancels the
answer of a client that has hung up. It logs no content: not a prompt, not an answer, not a malformed body.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from pydantic import JsonValue
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tunegate.engines.answers import TextChunk, answer
from tunegate.engines.chat import Chat
from tunegate.engines.protocol import Engine, Sampling
from tunegate.errors import InputError, MachineError
from tunegate.params import parse
from tunegate.serving import protocol
from tunegate.serving.protocol import ChatRequest

log = logging.getLogger("tunegate.gateway")

MAX_BODY = 1024 * 1024
"""Bytes of a request's body."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that hung up before the answer was ready; nobody receives it."""


class BadRequestError(Exception):
    """A request that is answered with an error of OpenAI's shape."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = protocol.failure(message, kind="invalid_request_error", code=code, param=param)


class Gateway:
    """Routes and their answers. The engine is given when it has been opened, in the process that answers."""

    def __init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/v1/lineage", self._lineage_reply),
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/{path:path}", _no_such_path, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ],
            exception_handlers={
                BadRequestError: _bad_request,
                HTTPException: _http_error,
                Exception: _unexpected,
            },
        )
        self._engine: Engine | None = None

    def open(self, engine: Engine, chat: Chat, model: str, lineage: dict[str, JsonValue]) -> None:
        """Begin to answer with `engine` under the name `model`; `lineage` is the reply of /v1/lineage."""
        self._chat, self._model, self._lineage = chat, model, lineage
        self._created = int(time.time())
        self._engine = engine

    @property
    def ready(self) -> bool:
        """Whether requests can be answered now."""
        return self._engine is not None and self._engine.alive

    async def _livez(self, _request: Request) -> Response:
        return Response(status_code=200)

    async def _readyz(self, _request: Request) -> Response:
        return Response(status_code=200 if self.ready else 503)

    async def _models(self, _request: Request) -> Response:
        self._opened()
        model = {"id": self._model, "object": "model", "created": self._created, "owned_by": "tunegate"}
        return JSONResponse({"object": "list", "data": [model]})

    async def _lineage_reply(self, _request: Request) -> Response:
        self._opened()
        return JSONResponse(self._lineage)

    async def _complete(self, request: Request) -> Response:
        engine = self._opened()
        chat_request = _parsed(await _body(request))
        if chat_request.model != self._model:
            message = f"the model {chat_request.model!r} does not exist; this service has {self._model!r}"
            raise BadRequestError(404, message, code="model_not_found", param="model")
        prompt, sampling = self._prepared(chat_request, engine.context)
        chunks = answer(engine, self._chat, prompt, sampling, chat_request.stops())
        identity = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": self._model}
        if chat_request.stream:
            include_usage = chat_request.stream_options is not None and chat_request.stream_options.include_usage
            events = _events(chunks, identity, len(prompt), include_usage)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        complete = await _unless_disconnected(request, _gathered(chunks))
        if complete is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        counts = protocol.usage(len(prompt), complete.tokens)
        return JSONResponse(protocol.completion(identity, complete.text, complete.finish or "stop", counts))

    def _opened(self) -> Engine:
        if self._engine is None:
            raise HTTPException(503, "not ready")
        return self._engine

    def _prepared(self, chat_request: ChatRequest, context: int) -> tuple[list[int], Sampling]:
        try:
            prompt = self._chat.prompt_ids([turn.plain() for turn in chat_request.messages])
        except InputError as error:
            raise BadRequestError(400, error.problem, param="messages") from None
        room = context - len(prompt)
        limit = chat_request.limit()
        if room < (limit or 1):
            message = (
                f"the prompt has {len(prompt)} tokens and {limit or 1} more are requested, "
                f"but the context holds {context}"
            )
            raise BadRequestError(400, message, code="context_length_exceeded", param="messages")
        sampling = Sampling(
            limit or room, chat_request.temperature or 0.0, chat_request.top_p or 1.0, chat_request.seed
        )
        return prompt, sampling


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise BadRequestError(413, f"the body is longer than {MAX_BODY} bytes", code="body_too_long")
    return bytes(body)


def _parsed(body: bytes) -> ChatRequest:
    try:
        value = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError(400, "the body is not valid JSON", code="invalid_json") from None
    try:
        return parse(ChatRequest, value, place="body", remedy="docs/serving.md lists the fields")
    except InputError as error:
        param = error.place.removeprefix("body").removeprefix(": ") or None
        raise BadRequestError(400, f"{param}: {error.problem}" if param else error.problem, param=param) from None


async def _gathered(chunks: AsyncIterator[TextChunk]) -> TextChunk:
    texts: list[str] = []
    last = TextChunk("", 0)
    async for last in chunks:
        texts.append(last.text)
    return TextChunk("".join(texts), last.tokens, last.finish)


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, TextChunk]) -> TextChunk | None:
    """The result of `work`, or None, with `work` cancelled, when the client has hung up."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(
    chunks: AsyncIterator[TextChunk], identity: dict[str, Any], prompt: int, include_usage: bool
) -> AsyncIterator[str]:
    yield _event(protocol.chunk(identity, {"role": "assistant", "content": ""}))
    last = TextChunk("", 0)
    async with contextlib.aclosing(chunks):  # type: ignore[type-var]
        try:
            async for last in chunks:
                if last.text:
                    yield _event(protocol.chunk(identity, {"content": last.text}))
        except Exception as error:
            # The status line is long gone: the client learns of the failure by an event and by the missing [DONE].
            log.exception("a stream has failed")
            yield _event(protocol.failure(_public(error), kind="server_error"))
            return
    yield _event(protocol.chunk(identity, {}, last.finish))
    if include_usage:
        counts = protocol.usage(prompt, last.tokens)
        yield _event(identity | {"object": "chat.completion.chunk", "choices": [], "usage": counts})
    yield "data: [DONE]\n\n"


def _event(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


async def _no_such_path(request: Request) -> Response:
    raise HTTPException(404, f"no such path: {request.method} {request.url.path}")


async def _bad_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequestError)
    return JSONResponse(error.body, status_code=error.status)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = "invalid_request_error" if error.status_code < 500 else "server_error"
    return JSONResponse(protocol.failure(error.detail, kind=kind), status_code=error.status_code, headers=error.headers)


async def _unexpected(_request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, MachineError) else 500
    return JSONResponse(protocol.failure(_public(error), kind="server_error"), status_code=status)


def _public(error: Exception) -> str:
    return error.problem if isinstance(error, MachineError) else "the service failed; its log says why"
