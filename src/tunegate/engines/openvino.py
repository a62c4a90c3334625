"""The CPU engine: OpenVINO GenAI's continuous batching over a package's GGUF file, everything in fp32.

One thread steps the pipeline and hands each request its new tokens; requests join and leave between steps. fp32
arithmetic is chosen over the faster 16-bit and 8-bit defaults because the served answers must be those of the stage
`evaluate`.
"""

import asyncio
import itertools
import logging
import queue
import secrets
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunegate.engines.gguf_header import read_header
from tunegate.engines.protocol import Sampling, Step
from tunegate.errors import MachineError, RefusedError
from tunegate.models.manifest import LINEAGE_METADATA, MODEL_FILE, Manifest

log = logging.getLogger("tunegate.engine")

FAITHFUL = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""Without these the CPU plugin computes in bf16, caches keys and values in 8 bits and rounds activations to 8 bits."""

CACHE_GIB = 1
"""Memory for keys and values. Requests that do not fit wait."""

STEP_TOKENS = 64
"""Most tokens computed in one step. A step stops the event loop, and so the probes; larger ones are no faster."""


@dataclass(slots=True)
class _Request:
    """A request in the engine's thread."""

    prompt: list[int]
    sampling: Sampling
    loop: asyncio.AbstractEventLoop
    steps: asyncio.Queue[Step | MachineError] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def put(self, item: Step | MachineError) -> None:
        """Hand over from the engine's thread."""
        try:
            self.loop.call_soon_threadsafe(self.steps.put_nowait, item)
        except RuntimeError:
            log.info("a request's event loop has closed: its answer is dropped")


class OpenVINOEngine:
    """Answers prompts of one package. Safe to call from any event loop; `close` it.

    Everything of OpenVINO is touched by one thread only. The others put requests into its inbox and mark those that are
    cancelled, so that no lock is held while the pipeline computes.
    """

    def __init__(self, folder: Path, manifest: Manifest, eos_id: int) -> None:
        """Open the package's model. Raises RefusedError when the file carries another lineage key than the manifest."""
        import openvino_genai

        path = folder / MODEL_FILE
        header = read_header(path)
        key = header.get(LINEAGE_METADATA)
        if key != manifest.lineage.key:
            problem = f"lineage key is {key}, the manifest says {manifest.lineage.key}"
            raise RefusedError(problem, place=str(path), remedy="make the package again with `dvc repro package`")
        self.context = int(header["llama.context_length"])
        self._eos_id = eos_id
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GIB
        scheduler.max_num_batched_tokens = STEP_TOKENS
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(str(path), scheduler, "CPU", FAITHFUL)
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._active: dict[int, tuple[_Request, Any]] = {}
        self._numbers = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="tunegate-engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        return not self._stopped

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return len(self._active)

    async def generate(self, prompt: list[int], sampling: Sampling) -> AsyncIterator[Step]:
        """Yield the answer in steps. Closing the iterator early cancels the request.

        Raises MachineError when the engine has failed or the request does not fit into its memory.
        """
        request = _Request(prompt, sampling, asyncio.get_running_loop())
        self._inbox.put(request)
        if self._stopped:
            raise _stopped_error()
        try:
            while True:
                item = await request.steps.get()
                if isinstance(item, MachineError):
                    raise item
                yield item
                if item.finish:
                    return
        finally:
            request.cancelled = True

    def close(self) -> None:
        """Stop answering; requests under way end with an error."""
        self._inbox.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while self._take_requests():
                if self._active or self._pipeline.has_non_finished_requests():
                    self._pipeline.step()
                    self._deliver()
                # step() keeps the interpreter's lock: this lets the event loop run between two steps.
                time.sleep(0)
            self._cancel_all()
        except Exception:
            log.exception("the engine has failed")
        finally:
            self._stop()

    def _take_requests(self) -> bool:
        """Take in what has arrived, waiting when there is nothing else to do. False when the engine is to stop."""
        idle = not self._active and not self._pipeline.has_non_finished_requests()
        while idle or not self._inbox.empty():
            request = self._inbox.get()
            if request is None:
                return False
            self._add(request)
            idle = False
        return True

    def _add(self, request: _Request) -> None:
        import numpy as np
        import openvino

        tensor = openvino.Tensor(np.array([request.prompt], dtype=np.int64))
        number = next(self._numbers)
        handle = self._pipeline.add_request(number, tensor, self._config(request.sampling))
        self._active[number] = (request, handle)

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

    def _deliver(self) -> None:
        for number, (request, handle) in list(self._active.items()):
            if request.cancelled:
                handle.cancel()
                del self._active[number]
                continue
            step = _read(handle)
            if step is None:
                continue
            request.put(step)
            if isinstance(step, MachineError) or step.finish:
                del self._active[number]

    def _cancel_all(self) -> None:
        for _request, handle in self._active.values():
            handle.cancel()
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    def _stop(self) -> None:
        # The flag comes first: a caller that comes later sees it, those that wait get the error below.
        self._stopped = True
        waiting = [request for request, _handle in self._active.values()]
        self._active.clear()
        while not self._inbox.empty():
            request = self._inbox.get()
            waiting += [request] if request else []
        for request in waiting:
            request.put(_stopped_error())


def _read(handle: Any) -> Step | MachineError | None:
    import openvino_genai

    # The status is taken first: what is read afterwards is then complete if the status says finished.
    status = handle.get_status()
    tokens: list[int] = []
    reason = openvino_genai.GenerationFinishReason.NONE
    while handle.can_read():
        for output in handle.read().values():
            tokens.extend(output.generated_ids)
            reason = output.finish_reason
    if status == openvino_genai.GenerationStatus.RUNNING:
        return Step(tokens) if tokens else None
    if status != openvino_genai.GenerationStatus.FINISHED:
        problem = "the request does not fit into the memory for keys and values"
        return MachineError(problem, place="engine", remedy="send a shorter prompt or ask for fewer tokens")
    stopped = reason == openvino_genai.GenerationFinishReason.STOP
    return Step(tokens, "stop" if stopped else "length")


def _stopped_error() -> MachineError:
    return MachineError("the engine has stopped", remedy="restart the service; its log says why")
