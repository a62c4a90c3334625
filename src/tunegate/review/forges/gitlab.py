"""GitLab: which merge request a pipeline is about, our note on it, the commit status, and who approved.

Reads GitLab's predefined CI variables and asks the REST interface for everything that can have changed since. The
token is GITLAB_TOKEN's or, where that is not set, the job's own, which may only read. docs/ci.md says which are needed.
"""

import urllib.parse
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.http import JsonClient
from tunegate.review.forges.interface import CONTEXT, REMEDIES, Change, State, git_header, required, shortened

_DESCRIPTION_LIMIT = 255
_DEVELOPER = 30
_TRIES = 3
_STATES: dict[State, str] = {"success": "success", "failure": "failed", "pending": "pending", "error": "failed"}


class GitLab:
    """The forge of a job on GitLab CI."""

    name = "gitlab"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        own = self._environment.get("GITLAB_TOKEN", "").strip()
        self._token = own or required(self._environment, "CI_JOB_TOKEN", "GITLAB_TOKEN, or the job's own token")
        self._user = "oauth2" if own else "gitlab-ci-token"
        headers = {"PRIVATE-TOKEN" if own else "JOB-TOKEN": self._token}
        url = required(self._environment, "CI_API_V4_URL", "the address of the REST interface")
        self._api = JsonClient(url, headers, remedies=REMEDIES)
        self._project = required(self._environment, "CI_PROJECT_ID", "the project's number")
        self._home = f"projects/{urllib.parse.quote(self._project, safe='')}"

    def change(self) -> Change:
        """The merge request as it is now."""
        request = self._api.get(f"{self._home}/merge_requests/{self._number()}")
        base = self._api.get(
            f"{self._home}/repository/branches/{urllib.parse.quote(request['target_branch'], safe='')}"
        )
        return Change(
            number=int(request["iid"]),
            base_ref=request["target_branch"],
            base=base["commit"]["id"],
            head_ref=request["source_branch"],
            head=request["sha"],
            head_repository=str(request["source_project_id"]),
            is_fork=request["source_project_id"] != request["target_project_id"],
            author=request["author"]["username"],
            default_ref=required(self._environment, "CI_DEFAULT_BRANCH", "the project's default branch"),
            fetch=f"refs/merge-requests/{request['iid']}/head",
        )

    def comment(self, change: Change, marker: str, markdown: str, *, create: bool = True) -> str:
        """Update the note of ours that begins with `marker`, or add one; return the merge request's address with it."""
        body = {"body": f"{marker}\n{markdown}"}
        path = f"{self._home}/merge_requests/{change.number}/notes"
        for attempt in range(1, _TRIES + 1):
            note_id = self._our_note(path, marker)
            if note_id:
                return self._address(change, self._api.send("PUT", f"{path}/{note_id}", body))
            if not create:
                return ""
            try:
                # An answer that got lost may have left a note: look again before writing another.
                return self._address(change, self._api.send("POST", path, body, repeatable=False))
            except MachineError:
                if attempt == _TRIES:
                    raise
        raise AssertionError

    def status(self, change: Change, state: State, description: str, url: str) -> None:
        """Set the status of the head commit. It does not say which base it was judged against."""
        body = {"state": _STATES[state], "name": CONTEXT, "description": shortened(description, _DESCRIPTION_LIMIT)}
        self._api.send("POST", f"{self._home}/statuses/{change.head}", body | ({"target_url": url} if url else {}))

    def approvals(self, change: Change) -> list[str]:
        """Members who may push and approved after the head commit was pushed.

        GitLab does not say which commit was approved, but when: an approval without a time does not count.
        """
        path = f"{self._home}/merge_requests/{change.number}"
        pushed = [v["created_at"] for v in self._api.pages(f"{path}/versions") if v["head_commit_sha"] == change.head]
        if not pushed:
            return []
        since = max(map(_time, pushed))
        people = self._api.get(f"{path}/approvals").get("approved_by") or []
        after = [p["user"] for p in people if p.get("approved_at") and _time(p["approved_at"]) > since]
        return sorted(p["username"] for p in after if p["username"] != change.author and self._may_push(p["id"]))

    def job_url(self) -> str:
        """The job's page."""
        return self._environment.get("CI_JOB_URL", "")

    def git_environment(self) -> dict[str, str]:
        """A header for git's requests to this GitLab, and to no other host."""
        server = required(self._environment, "CI_SERVER_URL", "the address of GitLab")
        return git_header(server, self._user, self._token)

    def _number(self) -> int:
        # TUNEGATE_CHANGE: what the pipeline of a merge request hands to the one that publishes.
        for name in ("CI_MERGE_REQUEST_IID", "TUNEGATE_CHANGE"):
            value = self._environment.get(name, "").strip()
            if value.isdecimal():
                return int(value)
            if value:
                raise InputError(f"not a merge request's number (got {value!r})", place=name)
        remedy = "run the job in a merge request's pipeline, or set TUNEGATE_CHANGE to its number"
        raise InputError("the pipeline does not name a merge request", place="CI_MERGE_REQUEST_IID", remedy=remedy)

    def _our_note(self, path: str, marker: str) -> int | None:
        own = str(self._api.get("user")["username"])
        for note in self._api.pages(path, sort="asc"):
            # Anyone can write the marker; a note of theirs would stay theirs to edit.
            ours = not note.get("system") and note["author"]["username"] == own
            if ours and str(note.get("body") or "").startswith(marker):
                return int(note["id"])
        return None

    def _may_push(self, user: int) -> bool:
        try:
            member = self._api.get(f"{self._home}/members/all/{user}")
        except InputError:
            return False
        return int(member.get("access_level", 0)) >= _DEVELOPER

    def _address(self, change: Change, note: dict[str, Any]) -> str:
        home = self._environment.get("CI_PROJECT_URL", "")
        return f"{home}/-/merge_requests/{change.number}#note_{note['id']}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
