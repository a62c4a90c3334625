"""A git repository by its revisions: resolve, merge base, files of a commit, the tree that a merge would give.

Never touches the working tree, the index or a branch. What git cannot answer is an InputError that says what to fetch
or name instead.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.repository.git import Completed, output_of, run_git, words_of

_LOST = "fetch the commit with its files, or look for damage with `git fsck`"
_DEFAULT_BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclasses.dataclass(frozen=True)
class Repository:
    """The git repository that holds a project."""

    root: Path
    """The project's folder, with dvc.yaml in it; at the top of the repository or below it."""
    prefix: str
    """The project's folder relative to the repository's top, `` or `folder/`."""

    def resolve(self, revision: str) -> str:
        """The commit that `revision` names, in forty hexadecimal digits. Raises InputError when there is none."""
        if revision.startswith("-"):
            raise InputError("not a revision", place=revision, remedy="name a branch, a tag or a commit")
        if commit := self._try("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"):
            return commit
        remedy = "name a branch, tag or commit that `git log` knows" + self._depth_hint()
        raise InputError("no such revision in this repository", place=revision, remedy=remedy)

    def default_base(self) -> str:
        """The remote's default branch, or the local one where there is no remote. Raises InputError without any."""
        for name in _DEFAULT_BASES:
            if self._try("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
                return name
        raise InputError(
            "no default branch: looked for " + ", ".join(_DEFAULT_BASES),
            place=str(self.root),
            remedy="name it with --base, or run `git fetch origin` and `git remote set-head origin --auto`",
        )

    def merge_base(self, base: str, head: str) -> str:
        """The newest commit that both have. Raises InputError where there is none, or a shallow clone hides it."""
        if commit := self._try("merge-base", self.resolve(base), self.resolve(head)):
            return commit
        problem = f"no merge base of {base} and {head}"
        if self.shallow:
            remedy = "this clone is shallow: `git fetch --unshallow`, or check out with fetch-depth: 0"
        else:
            remedy = "the two have no common history: rebase the branch onto the base"
        raise InputError(problem, place=str(self.root), remedy=remedy)

    @property
    def shallow(self) -> bool:
        """Whether history is cut off."""
        return self._try("rev-parse", "--is-shallow-repository") == "true"

    @property
    def depth(self) -> int:
        """How many commits of HEAD's first-parent history are here."""
        return int(self._try("rev-list", "--count", "--first-parent", "HEAD") or 0)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is `newer` or one of its ancestors."""
        return self._try("merge-base", "--is-ancestor", older, newer) is not None

    def read(self, revision: str, path: str) -> str | None:
        """The text of the project's file `path` at `revision`, or None where it has none."""
        content = self.read_bytes(revision, path)
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            raise InputError("not UTF-8", place=f"{revision[:12]}:{path}", remedy="save it as UTF-8") from None

    def read_bytes(self, revision: str, path: str) -> bytes | None:
        """The content of the project's file `path` at `revision`, or None where it has none.

        Raises MachineError when git cannot tell: a missing object must not look like a missing file.
        """
        done = self._run("cat-file", "blob", f"{revision}:{self.prefix}{path}")
        if done.returncode == 0:
            return done.stdout
        if not self._has(revision, path):
            return None
        raise MachineError(words_of(done), place=f"{revision[:12]}:{path}", remedy=_LOST)

    def files(self, revision: str, under: str = "") -> list[str]:
        """The project's files at `revision`, sorted, below the folder `under`; paths relative to the project."""
        where = f"{self.prefix}{under}".rstrip("/")
        names = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", revision, *([where] if where else []))
        return [name.removeprefix(self.prefix) for name in names.split("\0") if name]

    def history(self, revisions: list[str], path: str) -> Iterator[str]:
        """The commits reachable from `revisions` that changed `path`, newest first."""
        # Every side of every merge: simplification would hide attempts that a merge threw away.
        commits = self._git("rev-list", "--full-history", *revisions, "--", path)
        yield from commits.splitlines()

    def versions(self, revisions: list[str], path: str) -> dict[str, bytes]:
        """The project's file `path` as every commit left it that changed it, newest first, by commit."""
        commits = list(self.history(revisions, path))
        names = "".join(f"{commit}:{self.prefix}{path}\n" for commit in commits).encode()
        done = self._run("cat-file", "--batch", given=names)
        if done.returncode:
            raise MachineError(words_of(done), place="git cat-file", remedy=_LOST)
        contents, rest = {}, done.stdout
        for commit in commits:
            head, _, rest = rest.partition(b"\n")
            _name, kind, size = head.rsplit(b" ", 2) if head.count(b" ") == 2 else (head, b"", b"0")
            content, rest = (rest[: int(size)], rest[int(size) + 1 :]) if kind else (b"", rest)
            if kind == b"blob" and len(content) == int(size):
                contents[commit] = content
            # A commit that deleted the file has no object either: git says "missing" to both.
            elif kind == b"blob" or self._has(commit, path):
                problem = head.decode("utf-8", "replace") or "git does not name the object"
                raise MachineError(problem, place=f"{commit[:12]}:{path}", remedy=_LOST)
        return contents

    def merge_commit(self, ours: str, theirs: str) -> str:
        """A commit, on no branch, of the tree that merging `theirs` into `ours` gives.

        Raises RefusedError with the paths where git cannot merge them by itself, InputError without a merge base.
        """
        parents = (self.resolve(ours), self.resolve(theirs))
        self.merge_base(*parents)  # Where history is cut off, it knows what to say.
        done = self._run("merge-tree", "--write-tree", "--name-only", "--no-messages", *parents)
        tree, *conflicts = done.stdout.decode("utf-8", "replace").split("\n\n")[0].split("\n")
        if done.returncode == 1:
            paths = ", ".join(path for path in conflicts if path)
            remedy = (
                f"`tunegate setup-git` once, so that git can merge dvc.lock; merge {ours} here, and run `dvc repro`"
            )
            raise RefusedError(f"merge conflicts in {paths}", place=f"{ours} + {theirs}", remedy=remedy)
        if done.returncode:
            raise MachineError(words_of(done), place="git merge-tree", remedy="git 2.38 or newer is needed")
        return self._commit(tree.strip(), parents, "A merge to be checked")

    def working_commit(self) -> str:
        """A commit, on no branch, of the tracked files as they are; new files are part once `git add` names them."""
        head = self.resolve("HEAD")
        index = self.root / self._git("rev-parse", "--git-path", "index").strip()
        with tempfile.TemporaryDirectory(prefix="tunegate-index-") as folder:
            copy = Path(folder) / "index"
            if index.is_file():
                shutil.copyfile(index, copy)
            environment = {"GIT_INDEX_FILE": str(copy)}
            self._git("add", "--update", "--", ":/", environment=environment)
            tree = self._git("write-tree", environment=environment).strip()
        return self._commit(tree, (head,), "The tracked files as they are")

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        """What `git` prints, with `environment` added. Raises MachineError with git's own words when it fails."""
        return self._git(*arguments, environment=environment)

    def _commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        # A fixed identity and time: the same content gives the same commit.
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _AUTHOR.items()}
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return self._git("commit-tree", tree, *flags, "-m", message, environment=who).strip()

    def _has(self, revision: str, path: str) -> bool:
        """Whether the commit names a file there, whether or not its content is here."""
        where = f"{self.prefix}{path}"
        entries = self._git("ls-tree", "-z", "--full-tree", revision, "--", where, remedy=_LOST).split("\0")
        return any(" blob " in entry and entry.endswith(f"\t{where}") for entry in entries)

    def _depth_hint(self) -> str:
        if not self.shallow:
            return ""
        return f"; this clone is shallow ({self.depth} deep): `git fetch --unshallow` first"

    def _try(self, *arguments: str) -> str | None:
        done = self._run(*arguments)
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None

    def _git(
        self, *arguments: str, environment: dict[str, str] | None = None, remedy: str = "see what git says"
    ) -> str:
        return output_of(self._run(*arguments, environment=environment), f"git {arguments[0]}", remedy)

    def _run(self, *arguments: str, environment: dict[str, str] | None = None, given: bytes = b"") -> Completed:
        return run_git(self.root, *arguments, environment=environment, given=given)


def open_repository(folder: Path = Path()) -> Repository:
    """The repository around the project in `folder`. Raises InputError when there is no git or no repository."""
    done = run_git(folder, "rev-parse", "--show-prefix")
    if done.returncode:
        remedy = "run this inside a clone of your project, or `git init` one"
        raise InputError("not a git repository", place=str(folder.resolve()), remedy=remedy)
    return Repository(folder.resolve(), done.stdout.decode().strip())


_AUTHOR = {"NAME": "tunegate", "EMAIL": "tunegate@localhost", "DATE": "2000-01-01T00:00:00Z"}
