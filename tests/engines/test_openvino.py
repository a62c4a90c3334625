import asyncio
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tunegate.engines.chat import Chat
from tunegate.engines.openvino import OpenVINOEngine
from tunegate.engines.protocol import Sampling
from tunegate.errors import MachineError, RefusedError
from tunegate.models.manifest import MODEL_FILE, verify

PROMPT = [1, 40, 90, 120, 7]


async def ids_of(engine: OpenVINOEngine, prompt: list[int], sampling: Sampling) -> tuple[list[int], str | None]:
    steps = [step async for step in engine.generate(prompt, sampling)]
    return [token for step in steps for token in step.tokens], steps[-1].finish


def test_a_greedy_answer_does_not_depend_on_who_else_asks(engine: OpenVINOEngine) -> None:
    async def ask() -> tuple[list[object], list[object]]:
        prompts = [[*PROMPT, 100 + k] for k in range(6)]
        alone = [await ids_of(engine, prompt, Sampling(12)) for prompt in prompts]
        together = await asyncio.gather(*(ids_of(engine, prompt, Sampling(12)) for prompt in prompts))
        return list(alone), list(together)

    alone, together = asyncio.run(ask())
    assert alone == together


def test_an_answer_has_at_most_the_wanted_tokens_and_says_so(engine: OpenVINOEngine) -> None:
    tokens, finish = asyncio.run(ids_of(engine, PROMPT, Sampling(3)))
    assert (len(tokens), finish) == (3, "length")


def test_a_seed_repeats_a_sampled_answer_and_another_does_not(engine: OpenVINOEngine) -> None:
    def sampled(seed: int | None) -> list[int]:
        return asyncio.run(ids_of(engine, PROMPT, Sampling(20, temperature=2.0, seed=seed)))[0]

    assert sampled(1) == sampled(1)
    assert len({tuple(sampled(seed)) for seed in range(5)}) > 1
    assert len({tuple(sampled(None)) for _ in range(5)}) > 1


class CountedPipeline:
    """OpenVINO's pipeline, counting its steps."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def step(self) -> None:
        self.steps += 1
        self._pipeline.step()


def test_an_answer_that_nobody_waits_for_is_cancelled(engine: OpenVINOEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CountedPipeline(engine._pipeline)
    monkeypatch.setattr(engine, "_pipeline", counted)
    sampling = Sampling(240, temperature=2.0, seed=5)

    async def leave() -> None:
        async with contextlib.aclosing(engine.generate(PROMPT, sampling)) as steps:  # type: ignore[type-var]
            assert (await anext(steps)).finish is None
        deadline = time.monotonic() + 10
        while counted.has_non_finished_requests() and time.monotonic() < deadline:
            await asyncio.sleep(0.001)

    whole, _finish = asyncio.run(ids_of(engine, PROMPT, sampling))
    assert len(whole) > 50
    asyncio.run(ids_of(engine, PROMPT, Sampling(1)))  # only now has the engine seen the counter for sure
    counted.steps = 0
    asyncio.run(leave())
    assert not counted.has_non_finished_requests()
    assert 0 < counted.steps < len(whole) / 2
    assert engine.running == 0


def test_a_model_file_of_another_lineage_is_refused(tiny_package: Path, tmp_path: Path, chat: Chat) -> None:
    folder = shutil.copytree(tiny_package, tmp_path / "package")
    manifest = verify(folder)
    content = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(content.replace(manifest.lineage.key.encode(), b"f" * 64))
    with pytest.raises(RefusedError, match="lineage key is f"):
        OpenVINOEngine(folder, manifest, chat.eos_id)


def test_a_closed_engine_answers_with_an_error(tiny_package: Path, chat: Chat) -> None:
    engine = OpenVINOEngine(tiny_package, verify(tiny_package), chat.eos_id)
    assert engine.alive
    engine.close()
    assert not engine.alive
    with pytest.raises(MachineError, match="stopped"):
        asyncio.run(ids_of(engine, PROMPT, Sampling(3)))
