import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.engines.protocol import Sampling, Step
from tunegate.errors import MachineError
from tunegate.serving.gateway import MAX_BODY, Gateway

PATH = "/v1/chat/completions"
ASK = {"model": "tiny", "messages": [{"role": "user", "content": "hej"}]}


class FailingEngine:
    """Gives one token and then fails."""

    context = 256
    alive = True

    async def generate(self, prompt: list[int], sampling: Sampling) -> AsyncIterator[Step]:
        yield Step([40])
        raise MachineError("no memory for keys and values")


class EndlessEngine:
    """Never ends an answer by itself; counts the answers under way."""

    context = 256
    alive = True
    running = 0

    async def generate(self, prompt: list[int], sampling: Sampling) -> AsyncIterator[Step]:
        self.running += 1
        try:
            while True:
                yield Step([40])
                await asyncio.sleep(0.001)
        finally:
            self.running -= 1


def opened(engine: Any, chat: Chat) -> Gateway:
    gateway = Gateway()
    gateway.open(engine, chat, "tiny", {"lineage_key": "k"})
    return gateway


@pytest.fixture
def gateway(engine: OpenVINOEngine, chat: Chat) -> Gateway:
    return opened(engine, chat)


def call(gateway: Gateway, method: str, path: str, **how: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=gateway.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **how)

    return asyncio.run(send())


def post(gateway: Gateway, **changes: Any) -> httpx.Response:
    return call(gateway, "POST", PATH, json=ASK | changes)


def test_an_answer_has_the_shape_of_openai(gateway: Gateway) -> None:
    reply = post(gateway, max_tokens=5, temperature=0, stop=["\n"], user="u", n=1)
    body = reply.json()
    assert reply.status_code == 200
    assert (body["object"], body["model"], body["choices"][0]["message"]["role"]) == (
        "chat.completion",
        "tiny",
        "assistant",
    )
    counts = body["usage"]
    assert counts["total_tokens"] == counts["prompt_tokens"] + counts["completion_tokens"]
    assert counts["completion_tokens"] <= 5


def test_text_parts_are_one_content(gateway: Gateway) -> None:
    parts = [{"type": "text", "text": "he"}, {"type": "text", "text": "j"}]
    joined = post(gateway, messages=[{"role": "user", "content": parts}], max_tokens=4).json()
    assert joined["choices"] == post(gateway, max_tokens=4).json()["choices"]


@pytest.mark.parametrize(
    ("changes", "status", "param", "part"),
    [
        ({"messages": []}, 400, "messages", "at least 1"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role", "'robot'"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content", "missing"),
        ({"temprature": 1}, 400, "temprature", "did you mean 'temperature'"),
        ({"temperature": 3}, 400, "temperature", "less than or equal to 2"),
        ({"temperature": "hot"}, 400, "temperature", "number"),
        ({"n": 2}, 400, "n", "1"),
        ({"tools": []}, 400, "tools", "unknown key"),
        ({"max_tokens": 0}, 400, "max_tokens", "greater than or equal to 1"),
        ({"max_tokens": 100000}, 400, "messages", "the context holds 256"),
        ({"messages": [{"role": "user", "content": "x" * 5000}]}, 400, "messages", "the context holds 256"),
        ({"model": "gpt-9"}, 404, "model", "does not exist"),
    ],
)
def test_a_bad_field_is_named(gateway: Gateway, changes: dict[str, Any], status: int, param: str, part: str) -> None:
    reply = post(gateway, **changes)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (status, "invalid_request_error")
    assert error["param"].startswith(param)
    assert part in error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused_and_not_logged(
    gateway: Gateway, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        reply = call(gateway, "POST", PATH, content=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_json")
    assert not [record for record in caplog.records if record.name.startswith("tunegate")]


def test_a_body_that_is_too_long_is_refused_before_it_is_read_whole(gateway: Gateway) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(64):
            read += 65536
            yield b" " * 65536

    reply = call(gateway, "POST", PATH, content=body())
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_long")
    assert read <= MAX_BODY + 2 * 65536


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/docs.json"), ("DELETE", "/v1/models")])
def test_any_other_path_is_a_404_of_openai_s_shape(gateway: Gateway, method: str, path: str) -> None:
    reply = call(gateway, method, path)
    assert reply.status_code == 404
    assert path in reply.json()["error"]["message"]


def test_a_gateway_without_an_engine_is_alive_and_not_ready() -> None:
    gateway = Gateway()
    assert call(gateway, "GET", "/livez").status_code == 200
    assert call(gateway, "GET", "/readyz").status_code == 503
    assert post(gateway).status_code == 503
    assert call(gateway, "GET", "/v1/models").status_code == 503
    assert call(gateway, "GET", "/v1/lineage").status_code == 503


def test_an_engine_that_fails_is_a_503_and_in_a_stream_an_error_without_done(chat: Chat) -> None:
    gateway = opened(FailingEngine(), chat)
    reply = post(gateway)
    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "server_error")
    events = [line.removeprefix("data: ") for line in post(gateway, stream=True).text.split("\n\n") if line]
    assert json.loads(events[-1])["error"]["message"] == "no memory for keys and values"
    assert "[DONE]" not in events


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_the_engine(chat: Chat, stream: bool) -> None:
    engine = EndlessEngine()
    gateway = opened(engine, chat)
    messages = [{"type": "http.request", "body": json.dumps(ASK | {"stream": stream}).encode()}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        while engine.running == 0:
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "query_string": b"", "asgi": {}}
    asyncio.run(asyncio.wait_for(gateway.app(scope, receive, send), timeout=10))
    assert engine.running == 0
    assert not any(b"[DONE]" in message.get("body", b"") for message in sent)
