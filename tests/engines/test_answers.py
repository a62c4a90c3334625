import asyncio
import time

import pytest

from tunegate.engines.answers import StopFilter, TextChunk, answer
from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.engines.protocol import Sampling


@pytest.mark.parametrize(
    ("stops", "parts", "text", "stopped"),
    [
        ([], ["ab", "c"], "abc", False),
        (["\n"], ["ab\nc"], "ab", True),
        (["END"], ["aE", "N", "D", "x"], "a", True),
        (["END"], ["aE", "N", "x"], "aENx", False),
        (["bc", "abc"], ["zab", "c"], "z", True),
        (["aab"], ["a", "a", "a", "b", "x"], "a", True),
    ],
)
def test_text_passes_up_to_the_first_stop_string(stops: list[str], parts: list[str], text: str, stopped: bool) -> None:
    stop = StopFilter(stops)
    out = ""
    for part in parts:
        out += stop.push(part)
        if stop.stopped:
            break
    assert (out + stop.end(), stop.stopped) == (text, stopped)


def collected(engine: OpenVINOEngine, chat: Chat, stops: list[str]) -> list[TextChunk]:
    async def collect() -> list[TextChunk]:
        prompt = chat.prompt_ids([{"role": "user", "content": "hej"}])
        return [chunk async for chunk in answer(engine, chat, prompt, Sampling(20), stops)]

    return asyncio.run(collect())


def test_an_answer_ends_before_its_stop_string_and_the_engine_is_freed(engine: OpenVINOEngine, chat: Chat) -> None:
    whole = "".join(chunk.text for chunk in collected(engine, chat, []))
    assert len(whole) > 6
    stop = whole[4:6]
    chunks = collected(engine, chat, [stop])
    assert "".join(chunk.text for chunk in chunks) == whole[: whole.index(stop)]
    assert chunks[-1].finish == "stop"
    deadline = time.monotonic() + 5
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.001)
    assert engine.running == 0
