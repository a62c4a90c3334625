"""A throw-away checkout of a project at any commit, in which DVC can run stages, beside a working tree left alone.

The checkout lies in the system's temporary folder, or where its caller wants it, borrows git's objects and shares DVC's
cache with the original, so that nothing is fetched or kept twice; it is gone when the block ends, also when a signal
ends it. What stages make there enters the shared cache, as any run's outputs do. Submodules are not checked out.
"""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, MachineError
from tunegate.repository.git import HOOK_VARIABLES, output_of, run_git
from tunegate.repository.remote import open_dvc
from tunegate.repository.revisions import Repository
from tunegate.repository.tracked_files import bring_added

_PREFIX = "tunegate-scratch-"
_LAST_LINES = 200
_RUNNING = re.compile(r"Running stage '(.+)':")
_PATIENCE_SECONDS = 10
_LOST = "run `git fsck`; in a partial clone, fetch the commit with its files first"


@contextlib.contextmanager
def scratch(repository: Repository, commit: str | None, within: Path | None = None) -> Iterator[Path]:
    """The project's folder in a checkout of `commit`: any revision, also a commit on no branch.

    The checkout lies in the folder `within`, or in the system's temporary folder.

    None stands for the working tree: its tracked files as they are. Files that git does not know are not part of it;
    `git add` makes them so. Raises MachineError with git's words where the checkout fails.
    """
    name = repository.resolve(commit) if commit else repository.working_commit()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within)).resolve()
    try:
        top = folder / "checkout"
        _check_out(repository, name, top)
        project = top / repository.prefix
        _share_dvc(repository, project, folder / "dvc")
        yield project
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_stages(folder: Path, targets: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
    """Run `dvc repro` in the scratch project `folder` for the stages `targets`, or for all; its output goes to stderr.

    Nothing is reported to MLflow's server: a run in a scratch checkout is a check, not a result. Raises InputError
    with the stage's own error, or MachineError with the last line of output.
    """
    code, last = _dvc(folder, ["repro", *targets], environment or {})
    if code:
        raise failure_of(last, targets, code)


def stages_to_run(folder: Path) -> list[str]:
    """What `dvc repro --pull --allow-missing` would run or restore in the scratch project `folder`, in DVC's own words.

    DVC also follows what the project's stages depend on into other files, such as a dvc.yaml in another folder.
    """
    bring_added(folder)
    # Without --pull: with --allow-missing it only fetches the run cache, and a dry run restores nothing.
    code, last = _dvc(folder, ["repro", "--allow-missing", "--dry"], {})
    if code:
        raise failure_of(last, ["repro", "--dry"], code)
    return [match[1] for line in last if (match := _RUNNING.fullmatch(line))]


def place_outputs(folder: Path, paths: Sequence[str]) -> None:
    """Check out the locked outputs `paths`, which DVC's cache has, in the scratch project `folder`."""
    if not paths:
        return
    code, last = _dvc(folder, ["checkout", "--quiet", *paths], {})
    if code:
        raise failure_of(last, paths, code)


def _dvc(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment_of(folder) | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        assert process.stdout
        for line in process.stdout:
            sys.stderr.write(line)
            last.append(line.rstrip())
        return process.wait(), list(last)
    finally:
        end(process)


def _check_out(repository: Repository, commit: str, top: Path) -> None:
    objects = (repository.root / repository.run("rev-parse", "--git-path", "objects").strip()).resolve()
    shallow = repository.root / repository.run("rev-parse", "--git-path", "shallow").strip()
    # Not `git clone --shared`: it refuses to share with a shallow clone, and cannot name a commit on no branch.
    _git("init", top.parent, "--quiet", "--template=", str(top))
    git = top / ".git"
    (git / "objects/info").mkdir(parents=True, exist_ok=True)
    (git / "objects/info/alternates").write_text(f"{objects}\n")
    if shallow.is_file():
        shutil.copyfile(shallow, git / "shallow")
    _git("checkout", top, "--quiet", "--detach", commit)
    # git ends with 0 although it could not read a file's content.
    if lost := _git("ls-files", top, "--deleted").splitlines():
        raise MachineError("git cannot read it", place=f"{commit[:12]}:{lost[0]}", remedy=_LOST)


def _share_dvc(repository: Repository, project: Path, state: Path) -> None:
    from dvc.config import Config

    with open_dvc(repository.root) as repo:
        cache, merged, own = repo.cache.local_cache_dir, repo.config.read(), repo.config.read("local")
        above = os.path.relpath(repo.root_dir, repository.root)
    dvc = project / above / ".dvc"
    dvc.mkdir(exist_ok=True)
    with Config(str(dvc)).edit("local") as config:
        # Relative addresses of the committed config mean the original's place, so all of them are written out.
        config.update(_plain({**own, "remote": merged["remote"]}))
        config["cache"]["dir"] = cache
        config["core"]["site_cache_dir"] = str(state)


def _plain(value: Any) -> Any:
    # DVC marks paths that were relative by a subclass of str, and would make them relative again.
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else str(value)


def environment_of(folder: Path) -> dict[str, str]:
    """The environment in which stages run in the scratch project `folder`."""
    unwanted = (*HOOK_VARIABLES, "MLFLOW_TRACKING_URI")
    settings = {name: value for name, value in os.environ.items() if name not in unwanted}
    settings |= {"DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"}
    settings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{settings.get('PATH', '')}"
    # A repository that holds the stages' own code (src/) runs that of its commit, not what is installed.
    sources = [str(folder / "src")] if (folder / "src").is_dir() else []
    path = [*sources, *filter(None, [settings.get("PYTHONPATH")])]
    return settings | ({"PYTHONPATH": os.pathsep.join(path)} if path else {})


def end(process: "subprocess.Popen[Any]") -> None:
    """End the process and those that it started: by SIGTERM, and some seconds later by SIGKILL."""
    if process.stdout:
        process.stdout.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            if process.poll() is None:
                os.killpg(process.pid, number)
                process.wait(_PATIENCE_SECONDS)


def failure_of(lines: list[str], targets: Sequence[str], code: int) -> InputError | MachineError:
    """What stopped `dvc repro`, from the last lines of its output: the stage's own error where there is one."""
    place = f"dvc: {' '.join(targets)}" if targets else "dvc"
    errors = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    if not errors:
        words = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
        return MachineError(words, place=place, remedy="see the lines above")
    problem, remedy = lines[errors[-1]].removeprefix("error: "), ""
    for line in lines[errors[-1] + 1 :]:
        remedy = line.removeprefix("fix: ") if line.startswith("fix: ") else remedy
    return InputError(problem, place=place, remedy=remedy)


def _git(verb: str, folder: Path, *arguments: str) -> str:
    # A user's hooks are not meant for this checkout.
    options = ("-c", "core.hooksPath=/dev/null")
    done = run_git(folder, *options, verb, *arguments, other_repository=True)
    return output_of(done, f"git {verb} {arguments[-1]}", _LOST)
