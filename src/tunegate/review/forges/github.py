"""GitHub: which pull request a workflow run is about, our comment on it, the commit status, and who approved.

Reads the event that started the job (GITHUB_EVENT_PATH) and asks the REST interface for everything that can have
changed since. The token is GITHUB_TOKEN's; docs/ci.md lists the permissions it needs.
"""

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.files import read_json
from tunegate.http import JsonClient, NotFoundError
from tunegate.review.forges.interface import (
    CONTEXT,
    REMEDIES,
    Change,
    NoChangeError,
    State,
    git_header,
    required,
    shortened,
)

_DESCRIPTION_LIMIT = 140
_WRITERS = ("admin", "maintain", "write")
_TRIES = 3


class GitHub:
    """The forge of a job on GitHub Actions."""

    name = "github"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._token = required(self._environment, "GITHUB_TOKEN", "the job's token")
        self._repository = required(self._environment, "GITHUB_REPOSITORY", "owner/name of the repository")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self._repository):
            raise InputError(f"not owner/name (got {self._repository!r})", place="GITHUB_REPOSITORY")
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = self._environment.get("GITHUB_API_URL") or "https://api.github.com"
        self._api = JsonClient(url, headers, remedies=REMEDIES)
        self._home = f"repos/{self._repository}"

    def change(self) -> Change:
        """The pull request as it is now, not as the event described it: its head may have moved since."""
        pull = self._api.get(f"{self._home}/pulls/{self._number()}")
        base, head = pull["base"]["ref"], pull["head"]
        # A pull request's own base.sha stays where it was when the branch was last pushed.
        tip = self._api.get(f"{self._home}/branches/{urllib.parse.quote(base, safe='')}")["commit"]["sha"]
        # The repository of a deleted fork is null.
        repository = (head["repo"] or {}).get("full_name", "")
        return Change(
            number=pull["number"],
            base_ref=base,
            base=tip,
            head_ref=head["ref"],
            head=head["sha"],
            head_repository=repository,
            is_fork=repository.lower() != self._repository.lower(),
            author=pull["user"]["login"],
            default_ref=pull["base"]["repo"]["default_branch"],
            fetch=f"refs/pull/{pull['number']}/head",
        )

    def comment(self, change: Change, marker: str, markdown: str, *, create: bool = True) -> str:
        """Update the comment of ours that begins with `marker`, or add one; return its address."""
        body = {"body": f"{marker}\n{markdown}"}
        for attempt in range(1, _TRIES + 1):
            comment_id = self._our_comment(change, marker)
            if comment_id:
                return str(self._api.send("PATCH", f"{self._home}/issues/comments/{comment_id}", body)["html_url"])
            if not create:
                return ""
            path = f"{self._home}/issues/{change.number}/comments"
            try:
                # An answer that got lost may have left a comment: look again before writing another.
                return str(self._api.send("POST", path, body, repeatable=False)["html_url"])
            except MachineError:
                if attempt == _TRIES:
                    raise
        raise AssertionError

    def status(self, change: Change, state: State, description: str, url: str) -> None:
        """Set the status of the head commit. It does not say which base: branches must be up to date to be merged."""
        body = {"state": state, "context": CONTEXT, "description": shortened(description, _DESCRIPTION_LIMIT)}
        self._api.send("POST", f"{self._home}/statuses/{change.head}", body | ({"target_url": url} if url else {}))

    def approvals(self, change: Change) -> list[str]:
        """People with write access whose last review of the head commit approves it."""
        last: dict[str, str] = {}
        for review in self._api.pages(f"{self._home}/pulls/{change.number}/reviews"):
            user = (review.get("user") or {}).get("login", "")
            if review["state"] != "COMMENTED" and review.get("commit_id") == change.head:
                last[user] = review["state"]
        approving = [user for user, state in last.items() if state == "APPROVED" and user != change.author]
        return sorted(user for user in approving if self._may_write(user))

    def job_url(self) -> str:
        """The workflow run's page."""
        run = self._environment.get("GITHUB_RUN_ID", "")
        return f"{self._server()}/{self._repository}/actions/runs/{run}" if run else ""

    def git_environment(self) -> dict[str, str]:
        """A header for git's requests to this GitHub, and to no other host."""
        return git_header(self._server(), "x-access-token", self._token)

    def _server(self) -> str:
        return (self._environment.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")

    def _number(self) -> int:
        place = required(self._environment, "GITHUB_EVENT_PATH", "the file with the event that started the job")
        event = read_json(Path(place))
        if "pull_request" in event:
            return int(event["pull_request"]["number"])
        if "workflow_run" in event:
            return self._number_of_run(event["workflow_run"])
        remedy = "start it on pull_request, pull_request_review or workflow_run"
        raise InputError("the event does not name a pull request", place=place, remedy=remedy)

    def _number_of_run(self, run: dict[str, Any]) -> int:
        """The open pull request from the run's branch, of several the one onto the default branch.

        The event itself names none for a fork.
        """
        head = f"{run['head_repository']['owner']['login']}:{run['head_branch']}"
        repository = str(run["head_repository"]["full_name"]).lower()
        # The head may have moved since, by the job that trains or by a person: the branch is what stays.
        pulls = [
            pull
            for pull in self._api.pages(f"{self._home}/pulls", head=head, state="open")
            if str((pull["head"]["repo"] or {}).get("full_name", "")).lower() == repository
        ]
        if not pulls:
            remedy = "it was closed or merged meanwhile: nothing to do"
            raise NoChangeError("no open pull request", place=head, remedy=remedy)
        return int(min(pulls, key=_is_elsewhere)["number"])

    def _our_comment(self, change: Change, marker: str) -> int | None:
        own = self._login()
        for comment in self._api.pages(f"{self._home}/issues/{change.number}/comments"):
            author = comment.get("user") or {}
            # Anyone can write the marker; a comment of theirs would stay theirs to edit.
            ours = author.get("login") == own if own else author.get("type") == "Bot"
            if ours and str(comment.get("body") or "").startswith(marker):
                return int(comment["id"])
        return None

    def _login(self) -> str:
        """Whose token this is; empty for the token of an app, such as a job's own, which may not ask."""
        try:
            return str(self._api.get("user")["login"])
        except InputError:
            return ""

    def _may_write(self, user: str) -> bool:
        path = f"{self._home}/collaborators/{urllib.parse.quote(user, safe='')}/permission"
        try:
            permission = self._api.get(path)
        except NotFoundError:
            return False
        return permission.get("permission") in _WRITERS or permission.get("role_name") in _WRITERS


def _is_elsewhere(pull: dict[str, Any]) -> bool:
    return bool(pull["base"]["ref"] != pull["base"]["repo"]["default_branch"])
