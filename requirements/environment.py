"""Makes .venv from the committed lock, and the lock from pyproject.toml. The Makefile calls it; nothing else needs it.

    python requirements/environment.py pipeline    .venv that can run the pipeline
    python requirements/environment.py serve       .venv that can serve a package
    python requirements/environment.py dev         .venv for all of it, and for the checks and tests
    python requirements/environment.py lock        requirements/*.txt from pyproject.toml

Reads requirements/*.txt, writes .venv and a record of what it installed there: a second call does nothing. It works
with nothing but Python, and takes package index, wheel folders and certificates from pip's own settings, wherever pip
takes them from. It does not know what any package is for, except torch: the build of torch depends on the machine.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

GROUPS = ("pipeline", "serve", "dev")
LOCKS = {
    "dev": ("--all-extras", "--group", "dev"),
    "pipeline": ("--extra", "pipeline", "--extra", "demo", "--group", "build", "-c", "requirements/dev.txt"),
    "serve": ("--extra", "serve", "--group", "build", "-c", "requirements/dev.txt"),
}
COMPILE = (
    *("--universal", "--python-version", "3.11", "--overrides", "requirements/overrides.txt", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--custom-compile-command", "make lock"),
)
VENV = Path(os.environ.get("TUNEGATE_VENV", ".venv"))
BIN = VENV / "bin"
RECORD = VENV / "tunegate.json"
OWN_WHEELS = Path("requirements/wheels")
"""Where `tunegate init` puts tunegate itself, when it was not installed from an index."""


def main(task: str) -> None:
    """Do `task`; leave with 2 for a wrong call, 1 for a wrong Python, and the failing command's code otherwise."""
    if task not in (*GROUPS, "lock"):
        sys.exit(2)
    if not (3, 11) <= sys.version_info < (3, 14):
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"error: Python {version} ({sys.executable}): must be 3.11, 3.12 or 3.13", file=sys.stderr)
        print(f"fix: make {os.environ.get('MAKECMDGOALS', 'setup')} PYTHON=python3.12", file=sys.stderr)
        sys.exit(1)
    if task in GROUPS and task in recorded():
        return
    make_venv()
    environment = {**os.environ, **uv_settings(os.environ)}
    if task == "lock":
        lock(environment)
    else:
        install(task, environment)
        RECORD.write_text(json.dumps({"lock": fingerprint(), "groups": [*recorded(), task]}))


def fingerprint() -> str:
    """One hash over everything an installation depends on."""
    inputs = [*sorted(Path("requirements").glob("*.txt")), Path("pyproject.toml"), Path(__file__)]
    content = b"".join(path.read_bytes() for path in inputs if path.is_file()) + sys.version.encode()
    return hashlib.sha256(content + str(VENV.resolve()).encode()).hexdigest()


def recorded() -> list[str]:
    """The groups that are installed already, from exactly this lock."""
    try:
        record = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return []
    return record["groups"] if record["lock"] == fingerprint() else []


def make_venv() -> None:
    """A virtual environment with the pinned uv in it."""
    if not (BIN / "pip").exists() or version_of(VENV) != sys.version_info[:2]:
        say("making", str(VENV))
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    if not (BIN / "uv").exists():
        pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", "requirements/uv.txt"])


def version_of(venv: Path) -> tuple[int, ...]:
    """The Python of a virtual environment, as (3, 11); () when it does not say."""
    settings = venv / "pyvenv.cfg"
    found = re.search(r"^version *= *(\d+)\.(\d+)", settings.read_text(), re.MULTILINE) if settings.is_file() else None
    return tuple(map(int, found.groups())) if found else ()


def install(group: str, environment: dict[str, str]) -> None:
    """The group's lock, then torch with what its build needs, then tunegate itself where this is its repository."""
    locked = Path(f"requirements/{group}.txt")
    say("installing", str(locked))
    pip = [str(BIN / "uv"), "pip", "install", "--quiet", "--python", str(BIN / "python")]
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        # As images of containers have it: then every process would compile all that it imports, which takes longer
        # than the rest of a short stage.
        pip.append("--compile-bytecode")
    run([*pip, "--no-deps", "-r", str(locked)], environment)
    torch = re.search(r"^torch==\S+", locked.read_text(), re.MULTILINE)
    if torch:
        # Only the CUDA build needs CUDA libraries, and only it names them.
        run([*pip, torch[0]], environment)
    if Path("pyproject.toml").is_file():
        run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], environment)


def lock(environment: dict[str, str]) -> None:
    """Resolve pyproject.toml for every supported Python and platform into requirements/*.txt."""
    if not Path("pyproject.toml").is_file():
        print("error: no pyproject.toml: this lock came with tunegate", file=sys.stderr)
        print("fix: add a line to requirements/pipeline.txt for a package of your own", file=sys.stderr)
        sys.exit(1)
    environment = {name: value for name, value in environment.items() if name != "UV_TORCH_BACKEND"}
    for group, options in LOCKS.items():
        path = Path(f"requirements/{group}.txt")
        say("resolving", str(path))
        command = [str(BIN / "uv"), "pip", "compile", "--quiet", "pyproject.toml", *options, *COMPILE, "-o", str(path)]
        run(command, environment)
        # torch's build, so its hash and its local version, differ by machine.
        text = re.sub(
            r"^(torch==[0-9.]+)[^\n]*\n(?:    --hash[^\n]*\n)*", r"\1\n", path.read_text(), flags=re.MULTILINE
        )
        path.write_text(text)


def uv_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What uv must be told so that it finds packages where pip would."""
    pip = pip_settings()
    wanted = {
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": pip.get("no-index", ""),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "SSL_CERT_FILE": pip.get("cert", ""),
    }
    places = ("UV_NO_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    if any(wanted.get(place) or environment.get(place) for place in places):
        # pip looks at all indexes alike; the lock's hashes say which file is the right one.
        wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    else:
        # The public index has torch for CUDA only, several GB; uv knows where the build for this machine is.
        wanted["UV_TORCH_BACKEND"] = "auto"
    settings = {name: value for name, value in wanted.items() if value and not environment.get(name)}
    if OWN_WHEELS.is_dir():
        known = environment.get("UV_FIND_LINKS") or settings.get("UV_FIND_LINKS", "")
        settings["UV_FIND_LINKS"] = f"{known},{OWN_WHEELS}".lstrip(",")
    return settings


def pip_settings() -> dict[str, str]:
    """Settings of pip, from its configuration files and environment, the strongest last: name to value."""
    listed = subprocess.run(
        [str(BIN / "python"), "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    )
    found = dict(line.partition("=")[::2] for line in listed.stdout.splitlines() if "=" in line)
    settings = {}
    for scope in ("global.", "install.", ":env:."):
        for name, value in found.items():
            if name.startswith(scope):
                settings[name[len(scope) :]] = ast.literal_eval(value)
    return settings


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command; leave with its exit code when it fails."""
    code = subprocess.run(command, check=False, env=environment).returncode
    if code:
        sys.exit(code)


def say(doing: str, what: str) -> None:
    """One line of progress."""
    print(f"{doing} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
