"""No forge at all: a change is a branch, a comment is a file, status and approvals are git notes that travel with it.

A comment is `.tunegate/ci/<head>/comment.md`. The status is a JSON note in `refs/notes/tunegate`, approvals are one in
`refs/notes/tunegate-approvals`; both are pushed to `origin`, where a `pre-receive` hook reads them
(docs/examples/pre-receive). That hook decides who may push which: git itself proves no identity.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.files import STATE, parse_json, to_json, write_text
from tunegate.repository.branches import BOT, BOT_IDENTITY
from tunegate.repository.revisions import Repository, open_repository
from tunegate.review.forges.interface import CONTEXT, Change, State, shortened

STATUS_NOTES = "refs/notes/tunegate"
APPROVAL_NOTES = "refs/notes/tunegate-approvals"

_DESCRIPTION_LIMIT = 255
_TRIES = 3
_OVERTAKEN = ("fetch first", "non-fast-forward", "cannot lock ref")


class Local:
    """A clone, and what it calls `origin`, if anything."""

    name = "local"

    def __init__(
        self,
        root: Path = Path(),
        *,
        base: str | None = None,
        head: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._repository = open_repository(root)
        self._base = base
        self._head = head
        self._environment = environment

    def change(self) -> Change:
        """The branch, or the commit, that is checked out, or the one that was named."""
        git = self._repository
        base = self._base or git.default_base()
        base_ref = _branch(git.run("rev-parse", "--abbrev-ref", base).strip() or base)
        head_ref = git.run("rev-parse", "--abbrev-ref", self._head or "HEAD").strip()
        head = git.resolve(self._head or "HEAD")
        authors = self._authors(git.resolve(base), head)
        return Change(
            number=None,
            base_ref=base_ref,
            base=git.resolve(base),
            head_ref="" if head_ref == "HEAD" else _branch(head_ref),
            head=head,
            head_repository=str(git.root),
            is_fork=False,
            author=authors[-1] if authors else "",
            # The note names the base's commit: a verdict against another branch's opens nothing.
            default_ref=base_ref,
        )

    def comment(self, change: Change, marker: str, markdown: str, *, create: bool = True) -> str:
        """Write the comment's file; return its path."""
        path = STATE / "ci" / change.head / "comment.md"
        if not create and not (self._repository.root / path).exists():
            return ""
        write_text(self._repository.root / path, f"{marker}\n{markdown}")
        return str(path)

    def status(self, change: Change, state: State, description: str, url: str) -> None:
        """Note at the head commit the status and the base that it was judged against, and push the notes."""
        words = shortened(description, _DESCRIPTION_LIMIT)
        note = {"state": state, "base": change.base, "description": words, "url": url}
        self._note(STATUS_NOTES, change.head, lambda notes: {**notes, CONTEXT: note}, BOT_IDENTITY)

    def approvals(self, change: Change) -> list[str]:
        """Addresses noted as approving the head commit, but for those of its own authors."""
        self._fetch(APPROVAL_NOTES)
        authors = self._authors(change.base, change.head)
        approved = _read(self._repository, APPROVAL_NOTES, change.head).get("approved", [])
        return sorted(set(approved) - set(authors))

    def approve(self, sha: str) -> str:
        """Note that the person at this clone approves a commit, push the notes, and return the address noted."""
        try:
            who = self._repository.run("config", "user.email").strip()
        except MachineError:
            who = self._environment.get("GIT_AUTHOR_EMAIL", "")
        if not who:
            raise InputError("git does not know who you are", place="user.email", remedy="git config user.email YOURS")
        self._note(APPROVAL_NOTES, sha, lambda notes: {"approved": sorted({*notes.get("approved", []), who})}, {})
        return who

    def job_url(self) -> str:
        """None: what runs here has no page."""
        return ""

    def git_environment(self) -> dict[str, str]:
        """Nothing: git's own settings know how to reach `origin`."""
        return {}

    def _authors(self, base: str, head: str) -> list[str]:
        addresses = self._repository.run("log", "--format=%ae", f"{base}..{head}").splitlines()
        return [address for address in addresses if address != BOT["EMAIL"]]

    def _note(self, ref: str, sha: str, change: Any, who: dict[str, str]) -> None:
        git = self._repository
        for attempt in range(1, _TRIES + 1):
            self._fetch(ref)
            text = to_json(change(_read(git, ref, sha)))
            git.run("notes", "--ref", ref, "add", "--force", "--message", text, sha, environment=who)
            if not self._has_origin():
                return
            try:
                git.run("push", "--quiet", "origin", ref)
                return
            except MachineError as error:
                # Someone else's note came first: take it, and add ours again.
                if attempt == _TRIES or not any(words in error.problem for words in _OVERTAKEN):
                    raise MachineError(error.problem, place=f"git push origin {ref}", remedy=error.remedy) from None

    def _fetch(self, ref: str) -> None:
        if self._has_origin() and self._repository.run("ls-remote", "origin", ref).strip():
            self._repository.run("fetch", "--quiet", "--no-tags", "origin", f"+{ref}:{ref}")

    def _has_origin(self) -> bool:
        return "origin" in self._repository.run("remote").split()


def _read(repository: Repository, ref: str, sha: str) -> dict[str, Any]:
    try:
        text = repository.run("notes", "--ref", ref, "show", sha)
    except MachineError:
        return {}
    note = parse_json(text, place=f"{ref} of {sha}")
    if not isinstance(note, dict):
        remedy = f"git notes --ref {ref} remove {sha}"
        raise InputError("the note is not a JSON object", place=f"{ref} of {sha}", remedy=remedy)
    return note


def _branch(name: str) -> str:
    return name.removeprefix("origin/")
