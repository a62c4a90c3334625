"""Whether the same search gives the same table in another clone, with another number of workers.

Copies the project of tests/analytic_project.py (its training is a formula, so that the search itself is measured), or
uses your own project with --project, and runs twelve trials in two clones that share nothing, sequentially and in
parallel.

Example: python bench/search.py --workers 2
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from analytic_project import make_analytic_project

PARAMS = ("train.rank=8,16,32,64", "train.learning_rate=log:1e-4:1e-1", "train.epochs=2:8")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def environment() -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | names | {"PATH": path, "TUNEGATE_UPLOAD": "0"}


def searched(origin: Path, clone: Path, arguments: list[str]) -> tuple[dict[str, Any], float]:
    run("git", "clone", "-q", str(origin), str(clone), cwd=origin)
    before = time.perf_counter()
    command = (sys.executable, "-m", "tunegate.cli", "search", *arguments, "--name", "bench", "--json", "--no-propose")
    return json.loads(run(*command, cwd=clone)), time.perf_counter() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, help="a git repository with a project")
    parser.add_argument("--trials", default="12")
    parser.add_argument("--workers", default="2", help="workers of the second search")
    parser.add_argument("--pruner", default="median")
    parser.add_argument("--param", action="append", help="as for tunegate search")
    given = parser.parse_args()
    more = [word for text in given.param or PARAMS for word in ("--param", text)]
    arguments = ["--trials", given.trials, "--pruner", given.pruner, *more]
    with tempfile.TemporaryDirectory() as folder:
        origin = given.project or make_analytic_project(Path(folder) / "origin", run)
        one, seconds = searched(origin, Path(folder) / "one", arguments)
        two, again = searched(origin, Path(folder) / "two", [*arguments, "--workers", given.workers])
    for trial in one["trials"]:
        values = ", ".join(f"{name} {value:.6g}" for name, value in trial["values"].items()) or trial["reason"]
        print(f"{trial['number']:>3}  {trial['state']:<9} {trial['params']}  {values}")
    print(f"\n1 worker:  {seconds:.0f} s, table {one['table'][:16]}")
    print(f"{given.workers} workers: {again:.0f} s, table {two['table'][:16]}")
    print("the same table" if one["table"] == two["table"] else "NOT the same table")
    sys.exit(one["table"] != two["table"])


if __name__ == "__main__":
    main()
