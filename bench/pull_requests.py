"""Three pull requests on the default project, judged and merged or refused, with plain git: no forge, no network.

    python bench/pull_requests.py --work ../loop

A bare repository whose main accepts only commits with a passing verdict, a laptop that trains, a CI clone that
verifies, judges, reports and publishes, a folder as DVC remote. The base is the default project with a quarter of its
learning rate and a margin of two points. Then: a better learning rate, a harmful one, and a change too small to
decide; finally, a merge without a conflict whose dvc.lock describes a run that never happened. Trains four times:
about twenty minutes on two cores. The reports are in WORK/reports.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAIN_RATE = "0.0005"
MARGIN = 0.02
PROPOSALS = (
    ("better-rate", "0.002", "a better learning rate", "0"),
    ("harmful-rate", "0.05", "a harmful learning rate", "3"),
    ("tiny-change", "0.0021", "a change too small to decide", "4"),
)


class Loop:
    """The repositories, each in its folder below `work`."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.origin, self.laptop, self.ci = (work / name for name in ("origin.git", "laptop", "ci"))
        names = {
            f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | names | {"PATH": path, "DVC_NO_ANALYTICS": "1", "TUNEGATE_FORGE": "local"}

    def run(self, folder: Path, *command: str, show: bool = False, expect: str = "0", **more: str) -> str:
        """Run a command in a folder; exit when its exit code is not the expected one."""
        print(f"{folder.name}$ {' '.join(command)}", flush=True)
        done = subprocess.run(
            command, cwd=folder, env=self.environment | more, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        if show or str(done.returncode) != expect:
            print("\n".join(f"    {line}" for line in (done.stdout if show else output).splitlines()), flush=True)
        if str(done.returncode) != expect:
            sys.exit(f"exit code {done.returncode}, expected {expect}")
        if done.returncode:
            print(f"    (exit code {done.returncode})", flush=True)
        return done.stdout

    def build(self, cache: Path | None) -> None:
        """The bare repository, protected; a laptop with the default project at a low learning rate; CI's clone."""
        self.work.mkdir(parents=True)
        self.run(self.work, "git", "clone", "-q", "--bare", "--no-tags", str(ROOT), str(self.origin))
        self.run(self.origin, "git", "symbolic-ref", "HEAD", "refs/heads/main")
        self.run(self.work, "git", "clone", "-q", str(self.origin), str(self.laptop))
        self.run(self.laptop, "dvc", "remote", "add", "-d", "store", str(self.work / "remote"))
        if cache:
            self.run(self.laptop, "dvc", "cache", "dir", "--local", str(cache.resolve()))
        self.set_rate(MAIN_RATE)
        policy = self.laptop / "policy/gate.yaml"
        policy.write_text(policy.read_text().replace("margin: 0.05, floor", f"margin: {MARGIN}, floor"))
        self.repro("A low learning rate, and a DVC remote")
        self.run(self.laptop, "git", "push", "-q", "origin", "main")
        self.run(self.origin, "git", "config", "tunegate.verdicts", "ci")
        shutil.copy(ROOT / "docs/examples/pre-receive", self.origin / "hooks/pre-receive")
        self.run(self.work, "git", "clone", "-q", str(self.origin), str(self.ci))

    def set_rate(self, rate: str) -> None:
        """Edit params.yaml as a person would."""
        path = self.laptop / "params.yaml"
        lines = path.read_text().splitlines(keepends=True)
        edited = [f"  learning_rate: {rate}\n" if line.startswith("  learning_rate:") else line for line in lines]
        path.write_text("".join(edited))

    def repro(self, message: str) -> None:
        """Run the pipeline, push its outputs, commit."""
        started = time.monotonic()
        self.run(self.laptop, "dvc", "repro")
        print(f"    ({time.monotonic() - started:.0f} s)", flush=True)
        self.run(self.laptop, "dvc", "push", "-q", "--run-cache")
        self.run(self.laptop, "git", "commit", "-qam", message)

    def propose(self, name: str, rate: str, title: str, code: str) -> None:
        """Open a pull request, have CI judge it, try to merge it."""
        print(f"\n=== {title}: learning_rate {rate} ===", flush=True)
        self.run(self.laptop, "git", "checkout", "-q", "-B", name, "origin/main")
        self.set_rate(rate)
        self.run(self.laptop, "tunegate", "plan", show=True)
        self.repro(f"Learning rate {rate}")
        self.run(self.laptop, "git", "push", "-q", "origin", name)
        self.judge(name, code)
        accepted = "0" if code == "0" else "1"
        self.run(self.laptop, "git", "push", "origin", f"{name}:main", expect=accepted)
        self.run(self.laptop, "git", "fetch", "-q")

    def judge(self, name: str, code: str) -> None:
        """The commands of the workflows tune and comment."""
        here = {"TUNEGATE_HEAD": f"origin/{name}", "REMOTE_USER": "ci"}
        self.run(self.ci, "git", "fetch", "-q")
        self.run(self.ci, "git", "checkout", "-q", "--detach", f"origin/{name}")
        self.run(self.ci, "tunegate", "ci", "verify", show=True, **here)
        self.run(self.ci, "tunegate", "ci", "gate", show=True, expect=code, **here)
        self.run(self.ci, "tunegate", "ci", "report", "--out", str(self.work / "reports" / name), **here)
        self.run(self.ci, "tunegate", "ci", "publish", show=True, **here)

    def mismerge(self) -> None:
        """One branch has fewer rows, the other a limit that changes no byte: the merged lock is of no run."""
        print("\n=== two branches that git merges without a conflict ===", flush=True)
        self.branch("fewer-rows", "limit: null", "limit: 450")
        self.branch("wider-limit", "max_quarantined_share: 0.05", "max_quarantined_share: 0.06")
        (self.laptop / ".git/info/attributes").write_text("dvc.lock merge=text\n")
        self.run(self.laptop, "git", "merge", "-q", "--no-edit", "fewer-rows")
        self.run(self.laptop, "dvc", "checkout", "-q")
        self.run(self.laptop, "dvc", "status", "validate", show=True)
        self.run(self.laptop, "tunegate", "verify", "--quick", show=True, expect="3")
        print("\nthe same merge with tunegate's driver:", flush=True)
        self.run(self.laptop, "git", "reset", "-q", "--hard", "HEAD^1")
        (self.laptop / ".git/info/attributes").unlink()
        self.run(self.laptop, "tunegate", "setup-git", show=True)
        self.run(self.laptop, "git", "merge", "-q", "--no-edit", "fewer-rows")
        self.run(self.laptop, "tunegate", "plan", show=True)

    def branch(self, name: str, old: str, new: str) -> None:
        """A branch with another parameter, run up to `prepare`."""
        self.run(self.laptop, "git", "checkout", "-q", "-B", name, "origin/main")
        path = self.laptop / "params.yaml"
        path.write_text(path.read_text().replace(old, new))
        self.run(self.laptop, "dvc", "repro", "prepare")
        self.run(self.laptop, "git", "commit", "-qam", f"params.yaml: {new}")


def main() -> None:
    """Run everything; the exit code is 0 when every verdict is the expected one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--cache", type=Path, help="a DVC cache to use; its runs are not repeated")
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"{arguments.work} exists")
    loop = Loop(arguments.work.resolve())
    loop.build(arguments.cache)
    for proposal in PROPOSALS:
        loop.propose(*proposal)
    loop.mismerge()
    print(f"\nreports: {loop.work / 'reports'}")


if __name__ == "__main__":
    main()
