"""What tunegate needs of a forge, which hosts proposed branches: change, comment, status, approvals.

The implementations are `github`, `gitlab` and `local`, chosen by `detect`. Nothing in here knows a metric or DVC.
"""

import base64
import dataclasses
from typing import Literal, Protocol

from tunegate.errors import InputError
from tunegate.text import short

State = Literal["success", "failure", "pending", "error"]
"""Of a commit status: may be merged, may not, waits for a person or a run, the gate could not run."""

CONTEXT = "tunegate/gate"
"""The status's name: what branch protection requires."""

MARKER = "<!-- tunegate -->"
"""Hidden in our comment, so that the next run updates it in place."""

REMEDIES = {
    401: "set the token's secret again",
    403: "give the job or the token the permission; docs/ci.md lists them",
    404: "check the number and the address, and that the token may see them",
    503: "run the job again later",
}
"""What to do about a forge that refuses, by HTTP status; 503: about one that does not answer."""


class NoChangeError(InputError):
    """The change of this job was merged or closed meanwhile."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A proposed change: a pull request, a merge request, or a local branch."""

    number: int | None
    """None where there are only branches."""
    base_ref: str
    """The branch that it goes to."""
    base: str
    """That branch's commit, in forty hexadecimal digits."""
    head_ref: str
    """The branch that it comes from; empty for a detached head."""
    head: str
    """The proposed commit."""
    head_repository: str
    """Where that branch lives: owner/name, or an address."""
    is_fork: bool
    """Whether that is another repository, whose branch we may not write."""
    author: str
    default_ref: str
    """The repository's default branch: the only one whose changes get a status and a comment."""
    fetch: str = ""
    """The ref of `origin` through which the head can be fetched; empty where the head's own branch is in `origin`."""


class Forge(Protocol):
    """A forge. Errors are InputError (what was set up is wrong) and MachineError (it does not answer)."""

    name: str

    def change(self) -> Change:
        """The change that this job is about."""
        ...

    def comment(self, change: Change, marker: str, markdown: str, *, create: bool = True) -> str:
        """Write our one comment on the change, or update it in place; return where it is.

        Without `create`, only one that is there is updated; the answer is empty where there is none.
        """
        ...

    def status(self, change: Change, state: State, description: str, url: str) -> None:
        """Set the status `CONTEXT` of the change's head, judged against its base; `url` may be empty."""
        ...

    def approvals(self, change: Change) -> list[str]:
        """The people other than the author who approved exactly the change's head commit, sorted."""
        ...

    def job_url(self) -> str:
        """The address of this job's log; empty where it has none."""
        ...

    def git_environment(self) -> dict[str, str]:
        """Environment variables with which git can fetch from and push to `origin`; they may hold a secret."""
        ...


def git_header(server: str, user: str, token: str) -> dict[str, str]:
    """A header with which git's requests to `server`, and to no other host, are `user`'s."""
    secret = base64.b64encode(f"{user}:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server.rstrip('/')}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {secret}",
    }


def required(environment: dict[str, str], name: str, what: str) -> str:
    """The variable `name`. Raises InputError when it is missing or empty."""
    value = environment.get(name, "").strip()
    if not value:
        raise InputError(f"not set: {what}", place=name, remedy="docs/ci.md says what a job's environment needs")
    return value


def shortened(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters."""
    return short(" ".join(text.split()), limit)
