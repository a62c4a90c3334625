import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def make_served_project(tiny_package: Path) -> Callable[[Path], Path]:
    """A function that fills a folder with what `bentoml serve .` and `bentoml build` need."""

    def make(folder: Path) -> Path:
        shutil.copytree(tiny_package, folder / "models" / "package")
        (folder / "requirements").mkdir()
        shutil.copy(ROOT / "requirements" / "serve.txt", folder / "requirements")
        shutil.copy(ROOT / "bentofile.yaml", folder)
        return folder

    return make


@pytest.fixture(scope="session")
def start_service() -> Callable[[Path], tuple[subprocess.Popen[str], int]]:
    """A function that runs `bentoml serve .` in a folder on a free port, without waiting for it."""

    def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "bentoml", "serve", ".", "--port", str(port)]
        names = os.environ | {"BENTOML_HOME": str(folder / "bentoml")}
        process = subprocess.Popen(
            command, cwd=folder, env=names, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return process, port

    return start


@pytest.fixture(scope="module")
def service(
    make_served_project: Callable[[Path], Path],
    start_service: Callable[[Path], tuple[subprocess.Popen[str], int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of the real service with the tiny package."""
    process, port = start_service(make_served_project(tmp_path_factory.mktemp("served")))
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, address)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _wait_until_ready(process: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the service did not become ready")
