"""A fork server for the stages that tests run: libraries are imported once, and each stage runs in a fork.

`python server.py SOCKET` serves until its standard input ends. A client (`sitecustomize.py` beside it) says what its
process is: arguments, environment, working directory and the three streams. The fork becomes that process in all but
its number, gets its signals and answers with its exit code. tunegate itself is imported by each fork.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch", "transformers.modeling_layers", "transformers.models.llama.modeling_llama", "peft", "accelerate",
    "pandas", "pyarrow.dataset", "sklearn.metrics", "sklearn.feature_extraction.text", "cleanlab.filter",
    "great_expectations", "duckdb", "mlflow", "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip


def main(place: str) -> None:
    """Import, then fork for everyone who asks. Returns in the forks that ran a stage, and when nobody may ask more."""
    for name in LIBRARIES:
        importlib.import_module(name)
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    # A fork has none of the threads; the one of Arrow's allocator does not mind.
    names = {(task / "comm").read_text(encoding="utf-8").strip() for task in tasks} - {"jemalloc_bg_thd"}
    if names:
        sys.exit(f"an import has started threads, which a fork would miss: {names}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"{place}.new")
    server.listen(64)
    Path(f"{place}.new").rename(place)
    while server in select.select([server, sys.stdin], [], [])[0]:
        client, _ = server.accept()
        if os.fork() == 0:
            server.close()
            serve(client)
            return
        client.close()


def serve(client: socket.socket) -> None:
    """Fork the stage that a client asks for and watch it: signals go one way, the exit code the other."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    asked = json.loads(client.makefile("rb", buffering=0).readline())
    stage = os.fork()
    if stage == 0:
        client.close()
        become(asked, streams)
        return
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(stage)
    while ended not in select.select([client.fileno(), ended], [], [])[0]:
        numbers = client.recv(64)
        # A client that is gone has been killed.
        for number in numbers or [signal.SIGKILL]:
            signal.pidfd_send_signal(ended, number)
        if not numbers:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])
    with contextlib.suppress(OSError):
        client.sendall(f"{code}\n".encode())
    os._exit(0)


def become(asked: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for, and run its stage."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    path = asked["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [asked["folder"], *(place for place in path if place and place not in sys.path)]
    sys.argv = ["tunegate.stages", *asked["arguments"]]
    runpy.run_module("tunegate.stages", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
