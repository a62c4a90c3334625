"""GitHub and GitLab as far as tunegate speaks with them, in memory, on a loopback port: state one can read and set."""

import contextlib
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cret"
PER_PAGE = 2


class Stub:
    """What the forge knows, what it was asked, and how it fails next."""

    def __init__(self) -> None:
        self.url = ""
        self.pulls: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.reviews: list[dict[str, Any]] = []
        self.approved: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.permissions: dict[str, str] = {}
        self.login = ""
        self.base = "b" * 40
        self.asked: list[str] = []
        self.failures: list[tuple[int, dict[str, str], str]] = []
        """Status, headers and body of the next answers."""
        self.fails: dict[str, tuple[int, dict[str, str], str]] = {}
        """The same for every answer to a request, by its method and path."""
        self.then_fail: list[int] = []
        """Statuses of answers to requests that were carried out: the answer got lost."""

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        """The JSON of an answer; None where there is no such thing."""
        for pattern, handler in ROUTES.items():
            verb, _, form = pattern.partition(" ")
            match = re.fullmatch(form, path)
            if verb == method and match:
                return handler(self, query, body, *match.groups())
        return None

    def pull(self, number: int = 7, **changes: Any) -> dict[str, Any]:
        """Add a pull request from a branch of the repository itself."""
        pull = {
            "number": number,
            "state": "open",
            "user": {"login": "ada"},
            "base": {"ref": "main", "sha": "0" * 40, "repo": {"default_branch": "main"}},
            "head": {"ref": "faster", "sha": "a" * 40, "repo": {"full_name": "firm/desk", "owner": {"login": "firm"}}},
        }
        self.pulls.append(pull | changes)
        return self.pulls[-1]


def _pull(stub: Stub, query: dict[str, str], body: dict[str, Any], number: str) -> Any:
    return next((pull for pull in stub.pulls if pull["number"] == int(number)), None)


def _pulls(stub: Stub, query: dict[str, str], body: dict[str, Any]) -> Any:
    owner, _, branch = query["head"].partition(":")
    return [
        pull
        for pull in stub.pulls
        if pull["head"]["ref"] == branch and pull["head"]["repo"]["owner"]["login"] == owner and pull["state"] == "open"
    ]


def _add_comment(stub: Stub, query: dict[str, str], body: dict[str, Any], number: str) -> Any:
    comment = {
        "id": len(stub.comments) + 1,
        "body": body["body"],
        "user": _bot(stub),
        "author": {"username": stub.login},
    }
    comment["html_url"] = f"{stub.url}/pull/{number}#{comment['id']}"
    stub.comments.append(comment)
    return comment


def _bot(stub: Stub) -> dict[str, str]:
    return {"login": stub.login, "type": "User"} if stub.login else {"login": "github-actions[bot]", "type": "Bot"}


def _edit_comment(stub: Stub, query: dict[str, str], body: dict[str, Any], *ids: str) -> Any:
    comment = next(comment for comment in stub.comments if comment["id"] == int(ids[-1]))
    comment["body"] = body["body"]
    return comment


def _status(stub: Stub, query: dict[str, str], body: dict[str, Any], sha: str) -> Any:
    stub.statuses.append({"sha": sha, **body})
    return body


def _permission(stub: Stub, query: dict[str, str], body: dict[str, Any], user: str) -> Any:
    return {"permission": stub.permissions[user]} if user in stub.permissions else None


def _user(stub: Stub, query: dict[str, str], body: dict[str, Any]) -> Any:
    return {"login": stub.login, "username": stub.login} if stub.login else None


def _member(stub: Stub, query: dict[str, str], body: dict[str, Any], number: str) -> Any:
    level = {"11": 40, "12": 30, "13": 20}.get(number)
    return None if level is None else {"access_level": level}


ROUTES = {
    r"GET repos/firm/desk/pulls/(\d+)": _pull,
    r"GET repos/firm/desk/pulls": _pulls,
    r"GET repos/firm/desk/branches/[^/]+": lambda stub, *_: {"commit": {"sha": stub.base}},
    r"GET repos/firm/desk/pulls/\d+/reviews": lambda stub, *_: stub.reviews,
    r"GET repos/firm/desk/issues/\d+/comments": lambda stub, *_: stub.comments,
    r"POST repos/firm/desk/issues/(\d+)/comments": _add_comment,
    r"PATCH repos/firm/desk/issues/comments/(\d+)": _edit_comment,
    r"POST repos/firm/desk/statuses/(\w+)": _status,
    r"GET repos/firm/desk/collaborators/([^/]+)/permission": _permission,
    r"GET user": _user,
    r"GET projects/5/merge_requests/(\d+)": lambda stub, *_: stub.pulls[0],
    r"GET projects/5/repository/branches/main": lambda stub, *_: {"commit": {"id": "b" * 40}},
    r"GET projects/5/merge_requests/\d+/notes": lambda stub, *_: stub.comments,
    r"POST projects/5/merge_requests/(\d+)/notes": _add_comment,
    r"PUT projects/5/merge_requests/(\d+)/notes/(\d+)": _edit_comment,
    r"POST projects/5/statuses/(\w+)": _status,
    r"GET projects/5/merge_requests/\d+/versions": lambda stub, *_: stub.versions,
    r"GET projects/5/merge_requests/\d+/approvals": lambda stub, *_: {"approved_by": stub.approved},
    r"GET projects/5/members/all/(\d+)": _member,
}


@contextlib.contextmanager
def serve() -> Iterator[Stub]:
    """A stub that answers until the block ends."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            stub.asked.append(f"{self.command} {parts.path.lstrip('/')}")
            if stub.failures:
                return self._say(*stub.failures.pop(0))
            if stub.asked[-1] in stub.fails:
                return self._say(*stub.fails[stub.asked[-1]])
            given = {self.headers.get(name, "") for name in ("PRIVATE-TOKEN", "JOB-TOKEN", "Authorization")}
            if not given & {TOKEN, f"Bearer {TOKEN}"}:
                return self._say(401, {}, json.dumps({"message": f"Bad credentials {given}"}))
            query = dict(urllib.parse.parse_qsl(parts.query))
            answer = stub.answer(self.command, parts.path.lstrip("/"), query, body)
            if stub.then_fail and self.command != "GET":
                return self._say(stub.then_fail.pop(0), {}, "")
            if answer is None:
                return self._say(404, {}, '{"message": "Not Found"}')
            headers = {}
            if isinstance(answer, list) and len(answer) > PER_PAGE:
                page = int(query.get("page", "1"))
                if page * PER_PAGE < len(answer):
                    following = urllib.parse.urlencode({**query, "page": page + 1})
                    headers["Link"] = f'<{stub.url}{parts.path}?{following}>; rel="next", <{stub.url}>; rel="last"'
                answer = answer[(page - 1) * PER_PAGE : page * PER_PAGE]
            return self._say(200 if self.command == "GET" else 201, headers, json.dumps(answer))

        do_GET = do_POST = do_PATCH = do_PUT = _handle  # noqa: N815

        def _say(self, code: int, headers: dict[str, str], body: str) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            content = body.encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
