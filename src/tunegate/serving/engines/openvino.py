"""The CPU engine: OpenVINO GenAI's continuous batching over a package's GGUF file, everything in fp32.

One thread steps the pipeline and hands each request its new tokens; requests join and leave between steps. Token ids
in, token ids out: text, templates and stop strings are not known here. fp32 arithmetic is chosen over the
faster 16-bit and 8-bit defaults because the served answers must be those of the stage `evaluate`.
"""

import asyncio
import itertools
import logging
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tunegate.errors import MachineError, RefusedError
from tunegate.release.manifest import LINEAGE_METADATA, MODEL_FILE, Manifest
from tunegate.serving.engines.header import read_header

log = logging.getLogger("tunegate.engine")

FAITHFUL = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""Without these the CPU plugin computes in bf16, caches keys and values in 8 bits and rounds activations to 8 bits."""

CACHE_GIB = 1
"""Memory for keys and values. Requests that do not fit wait."""

Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens. Temperature 0 is greedy, and the same prompt then gives the same answer."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """New tokens of one request; `finish` is set on its last step."""

    tokens: list[int]
    finish: Finish | None = None


@dataclass(slots=True)
class _Request:
    handle: Any
    loop: asyncio.AbstractEventLoop
    steps: asyncio.Queue[Step | MachineError] = field(default_factory=asyncio.Queue)

    def put(self, item: Step | MachineError) -> None:
        try:
            self.loop.call_soon_threadsafe(self.steps.put_nowait, item)
        except RuntimeError:
            log.info("a request's event loop has closed: its answer is dropped")


class OpenVINOEngine:
    """Answers prompts of one package. Thread-safe; `close` it."""

    def __init__(self, folder: Path, manifest: Manifest, eos_id: int) -> None:
        """Open the package's model. Raises RefusedError when the file carries another lineage key than the manifest."""
        import openvino_genai

        path = folder / MODEL_FILE
        header = read_header(path)
        found = header.get(LINEAGE_METADATA)
        if found != manifest.lineage.key:
            problem = f"lineage key is {found}, the manifest says {manifest.lineage.key}"
            raise RefusedError(problem, place=str(path), remedy="make the package again with `dvc repro package`")
        self.context = int(header["llama.context_length"])
        self._eos_id = eos_id
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GIB
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(str(path), scheduler, "CPU", FAITHFUL)
        self._numbers = itertools.count()
        self._active: dict[int, _Request] = {}
        self._change = threading.Condition()
        self._closing = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="tunegate-engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        return self._thread.is_alive() and self._failure is None

    async def generate(self, prompt: list[int], sampling: Sampling) -> AsyncIterator[Step]:
        """Yield the answer in steps. Closing the iterator early cancels the request.

        Raises MachineError when the engine has failed or the request does not fit into its memory.
        """
        number = next(self._numbers)
        request = self._add(number, prompt, sampling)
        try:
            while True:
                item = await request.steps.get()
                if isinstance(item, MachineError):
                    raise item
                yield item
                if item.finish:
                    return
        finally:
            with self._change:
                if self._active.pop(number, None):
                    request.handle.cancel()
                    self._change.notify()

    def close(self) -> None:
        """Stop answering; running requests end with an error."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(timeout=10)

    def _add(self, number: int, prompt: list[int], sampling: Sampling) -> _Request:
        import numpy as np
        import openvino

        tensor = openvino.Tensor(np.array([prompt], dtype=np.int64))
        with self._change:
            if not self.alive or self._closing:
                raise MachineError("the engine has stopped", remedy="restart the service; its log says why")
            handle = self._pipeline.add_request(number, tensor, self._config(sampling))
            request = _Request(handle, asyncio.get_running_loop())
            self._active[number] = request
            self._change.notify()
        return request

    def _config(self, sampling: Sampling) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = sampling.max_tokens
        config.eos_token_id = self._eos_id
        config.stop_token_ids = {self._eos_id}
        config.apply_chat_template = False
        config.do_sample = sampling.temperature > 0
        if config.do_sample:
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.rng_seed = sampling.seed if sampling.seed is not None else secrets.randbelow(2**31)
        return config

    def _run(self) -> None:
        try:
            while self._wait():
                self._pipeline.step()
                self._deliver()
        except Exception as error:
            log.exception("the engine has failed")
            self._failure = error
        with self._change:
            for request in self._active.values():
                request.put(MachineError("the engine has stopped", remedy="restart the service; its log says why"))
            self._active.clear()

    def _wait(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._closing or self._pipeline.has_non_finished_requests())
            return not self._closing

    def _deliver(self) -> None:
        with self._change:
            for number, request in list(self._active.items()):
                step = self._read(request)
                if step is None:
                    continue
                request.put(step)
                if isinstance(step, MachineError) or step.finish:
                    del self._active[number]

    def _read(self, request: _Request) -> Step | MachineError | None:
        import openvino_genai

        # The status is taken first: what is read afterwards is then complete if the status says finished.
        status = request.handle.get_status()
        tokens: list[int] = []
        reason = openvino_genai.GenerationFinishReason.NONE
        while request.handle.can_read():
            for output in request.handle.read().values():
                tokens.extend(output.generated_ids)
                reason = output.finish_reason
        if status == openvino_genai.GenerationStatus.RUNNING:
            return Step(tokens) if tokens else None
        if status != openvino_genai.GenerationStatus.FINISHED:
            problem = "the request does not fit into the memory for keys and values"
            return MachineError(problem, place="engine", remedy="send a shorter prompt or ask for fewer tokens")
        stopped = reason == openvino_genai.GenerationFinishReason.STOP
        return Step(tokens, "stop" if stopped else "length")
