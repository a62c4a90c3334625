"""Which forge this process runs on: the one that is named, or that of the environment's variables."""

import os
from collections.abc import Mapping
from pathlib import Path

from tunegate.errors import UsageError
from tunegate.review.forges.github import GitHub
from tunegate.review.forges.gitlab import GitLab
from tunegate.review.forges.interface import Forge
from tunegate.review.forges.local import Local

NAMES = ("github", "gitlab", "local")


def open_forge(
    name: str = "",
    *,
    base: str | None = None,
    head: str | None = None,
    root: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> Forge:
    """The forge `name`, or, where that is empty, the one whose CI this is; `local` outside any.

    `base` and `head` name a local change: the branch that it goes to, and its own. Elsewhere the forge knows them.
    Raises UsageError for an unknown name.
    """
    if name not in ("", *NAMES):
        raise UsageError(f"no such forge (got {name!r})", place="--forge", remedy=f"one of {', '.join(NAMES)}")
    chosen = name or _detected(environment)
    if chosen == "github":
        return GitHub(environment)
    return GitLab(environment) if chosen == "gitlab" else Local(root, base=base, head=head, environment=environment)


def _detected(environment: Mapping[str, str]) -> str:
    if environment.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") == "true" else "local"
