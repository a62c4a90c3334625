import asyncio
import time

import pytest

from tunegate.engines.answers import Piece, StopFilter, answer
from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.engines.protocol import Sampling


@pytest.mark.parametrize(
    ("stops", "pieces", "text", "stopped"),
    [
        ([], ["ab", "c"], "abc", False),
        (["\n"], ["ab\nc"], "ab", True),
        (["END"], ["aE", "N", "D", "x"], "a", True),
        (["END"], ["aE", "N", "x"], "aENx", False),
        (["bc", "abc"], ["zab", "c"], "z", True),
        (["aab"], ["a", "a", "a", "b", "x"], "a", True),
    ],
)
def test_text_passes_up_to_the_first_stop_string(stops: list[str], pieces: list[str], text: str, stopped: bool) -> None:
    stop = StopFilter(stops)
    out = ""
    for piece in pieces:
        out += stop.push(piece)
        if stop.stopped:
            break
    assert (out + stop.end(), stop.stopped) == (text, stopped)


def collected(engine: OpenVINOEngine, chat: Chat, stops: list[str]) -> list[Piece]:
    async def collect() -> list[Piece]:
        prompt = chat.prompt_ids([{"role": "user", "content": "hej"}])
        return [piece async for piece in answer(engine, chat, prompt, Sampling(20), stops)]

    return asyncio.run(collect())


def test_an_answer_ends_before_its_stop_string_and_the_engine_is_freed(engine: OpenVINOEngine, chat: Chat) -> None:
    whole = "".join(piece.text for piece in collected(engine, chat, []))
    assert len(whole) > 6
    stop = whole[4:6]
    pieces = collected(engine, chat, [stop])
    assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish == "stop"
    deadline = time.monotonic() + 5
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.001)
    assert engine.running == 0
