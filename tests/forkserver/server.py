"""A fork server for the commands that tests run: libraries are imported once, and each command runs in a fork.

`python server.py SOCKET` serves until its standard input ends. A client (`sitecustomize.py` in this folder) sends its
arguments, environment, working directory and three streams. The fork becomes that process in all but its number, gets
its signals and answers with its exit code. tunegate itself is imported by each fork. The processor time of each command
goes to SOCKET.seconds, after the test that the environment names.
"""

import atexit
import contextlib
import copy
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "torch", "transformers.modeling_layers", "transformers.models.llama.modeling_llama", "peft", "accelerate",
    "pandas", "pyarrow.dataset", "sklearn.metrics", "sklearn.feature_extraction.text", "cleanlab.filter",
    "great_expectations", "duckdb", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "typer", "dvc.cli.parser",
    "dvc.repo", "scmrepo.git",
)  # fmt: skip


def main(place: str) -> None:
    """Import, then fork for each client. Returns when standard input ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    remember_yaml()
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    # A fork has none of the threads; the one of Arrow's allocator does not mind.
    names = {(task / "comm").read_text(encoding="utf-8").strip() for task in tasks} - {"jemalloc_bg_thd"}
    if names:
        sys.exit(f"an import has started threads, which a fork would miss: {names}")
    # What the collector does not visit stays shared with the forks.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"{place}.new")
    server.listen(64)
    Path(f"{place}.new").rename(place)
    while server in select.select([server, sys.stdin], [], [])[0]:
        client, _ = server.accept()
        if os.fork() == 0:
            server.close()
            serve(client, f"{place}.seconds")
            return
        client.close()


def remember_yaml() -> None:
    """Have each process parse a YAML text once: DVC parses params.yaml twice a stage, in pure Python."""
    from dvc.utils.serialize import _yaml

    parse, remembered = _yaml.parse_yaml, functools.lru_cache(_yaml.parse_yaml)

    def parse_once(text: str, path: str, typ: str = "safe") -> Any:
        # What is to be written again has comments and anchors, which a copy would change.
        return copy.deepcopy(remembered(text, path)) if typ == "safe" else parse(text, path, typ)

    _yaml.parse_yaml = parse_once


def serve(client: socket.socket, log: str) -> None:
    """Fork the command of a client and watch it: signals go one way, the exit code the other."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    request = json.loads(client.makefile("rb", buffering=0).readline())
    command = os.fork()
    if command == 0:
        client.close()
        become(request, streams)
        return
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(command)
    while ended not in select.select([client.fileno(), ended], [], [])[0]:
        numbers = client.recv(64)
        # A client that is gone has been killed.
        for number in numbers or [signal.SIGKILL]:
            signal.pidfd_send_signal(ended, number)
        if not numbers:
            break
    _, status, usage = os.wait4(command, 0)
    with contextlib.suppress(OSError):
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    test = request["environment"].get("PYTEST_CURRENT_TEST", "?").rpartition(" ")[0]
    with contextlib.suppress(OSError), Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{test}\t{usage.ru_utime + usage.ru_stime:.2f}\n")
    os._exit(0)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that the client is, and run its script or module."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    arguments, path = request["arguments"], request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    module = arguments[1] if arguments[0] == "-m" else None
    first = request["folder"] if module else str(Path(arguments[0]).parent)
    sys.path[:1] = [first, *(place for place in path if place and place not in sys.path)]
    sys.argv = arguments[1:] if module else arguments
    if module:
        end(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True))
    end(lambda: runpy.run_path(arguments[0], run_name="__main__"))


def end(work: Callable[[], object]) -> NoReturn:
    """Work, then end as Python does, except that no memory is freed: that takes seconds with these libraries."""
    code = 0
    try:
        work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
