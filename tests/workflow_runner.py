"""GitHub Actions as far as this repository's workflows use them: expressions, `if`, `needs`, outputs, steps.

`run:` steps are executed by bash as they stand, in a workspace of their own per job; actions are played by functions.
"""

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunegate.files import parse_yaml, read_text, write_json

_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|,|'(?:[^']|'')*'|[A-Za-z_][\w.-]*|\d+)")
_STATUS = re.compile(r"\b(always|cancelled|success|failure)\(\)")


def load(path: Path) -> dict[str, Any]:
    """A workflow's content. GitHub's own key `on` is one of those that YAML 1.1 reads as true."""
    content: dict[str, Any] = parse_yaml(re.sub(r"(?m)^on:", '"on":', read_text(path)), place=path.name)
    return content


@dataclasses.dataclass
class Expression:
    """Evaluates one expression of the kind `a.b == 'x' && !c()`."""

    tokens: list[str]
    contexts: Mapping[str, Any]

    def value(self) -> Any:
        value = self._either()
        assert not self.tokens, f"not understood: {self.tokens}"
        return value

    def _either(self) -> Any:
        left = self._both()
        while self._next_is("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:
        left = self._compared()
        while self._next_is("&&"):
            right = self._compared()
            left = left and right
        return left

    def _compared(self) -> Any:
        left = self._single()
        for sign in ("==", "!="):
            if self._next_is(sign):
                same = _plain(left) == _plain(self._single())
                return same if sign == "==" else not same
        return left

    def _single(self) -> Any:
        if self._next_is("!"):
            return not self._single()
        if self._next_is("("):
            value = self._either()
            assert self._next_is(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._next_is("("):
            assert self._next_is(")"), f"{token}: only functions without arguments are known"
            return self.contexts["functions"][token]
        value = self.contexts
        for part in token.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _next_is(self, token: str) -> bool:
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False


def _plain(value: Any) -> Any:
    """As GitHub compares: text without regard to case, nothing as the empty text."""
    return "" if value is None else value.lower() if isinstance(value, str) else value


def evaluate(text: str, contexts: Mapping[str, Any]) -> Any:
    """The value of an expression."""
    tokens = _TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), f"not understood: {text}"
    return Expression(tokens, contexts).value()


def filled(text: Any, contexts: Mapping[str, Any]) -> str:
    """A text with its `${{ }}` replaced."""

    def value(match: re.Match[str]) -> str:
        result = evaluate(match[1], contexts)
        return "" if result is None else str(result)

    return re.sub(r"\$\{\{(.*?)\}\}", value, str(text), flags=re.DOTALL)


def holds(condition: Any, contexts: Mapping[str, Any]) -> bool:
    """Whether an `if` lets its job or step run. Without a status function in it, what came before must have worked."""
    text = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(condition).strip(), flags=re.DOTALL)
    if not _STATUS.search(text) and not contexts["functions"]["success"]:
        return False
    return bool(evaluate(text, contexts))


@dataclasses.dataclass
class Result:
    """What became of a job."""

    result: str
    outputs: dict[str, str]
    log: str = ""


@dataclasses.dataclass
class Runner:
    """Runs a workflow's jobs in a folder, from the bare repository `origin`."""

    folder: Path
    origin: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    own_secrets: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """Those of an `environment:`."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def run(self, workflow: Mapping[str, Any], event_name: str, event: Mapping[str, Any]) -> dict[str, Result]:
        """Run every job whose `if` holds, in an order that `needs` allows; return what became of each."""
        event_file = self.folder / "event.json"
        write_json(event_file, event)
        github = {"event_name": event_name, "event": event, "repository": "firm/desk", "token": "s3cret"}
        done: dict[str, Result] = {}
        for name, job in _in_order(workflow["jobs"]):
            needs = {need: done[need] for need in _list(job.get("needs"))}
            contexts = {
                "github": github,
                "needs": {need: dataclasses.asdict(result) for need, result in needs.items()},
                "secrets": self.secrets if "environment" not in job else self._secrets_of(job["environment"]),
                "vars": self.variables,
                "functions": {
                    "success": all(result.result == "success" for result in needs.values()),
                    "cancelled": False,
                },
            }
            if holds(job.get("if", "success()"), contexts):
                done[name] = self._job(name, job, contexts, event_file)
            else:
                done[name] = Result("skipped", {})
        return done

    def _secrets_of(self, environment: str) -> dict[str, str]:
        return {**self.secrets, **self.own_secrets.get(environment, {})}

    def _job(self, name: str, job: Mapping[str, Any], contexts: dict[str, Any], event_file: Path) -> Result:
        workspace = self.folder / f"{name}-workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        path_file = self.folder / f"{name}-path"
        path_file.write_text("")
        steps: dict[str, Any] = {}
        log, worked = [], True
        for number, step in enumerate(job["steps"]):
            contexts = {**contexts, "steps": steps, "functions": {"success": worked, "cancelled": False}}
            if not holds(step.get("if", "success()"), contexts):
                continue
            given = {key: filled(value, contexts) for key, value in step.get("with", {}).items()}
            if "uses" in step:
                ACTIONS[step["uses"].partition("@")[0]](self, workspace, given)
                continue
            output_file = self.folder / f"{name}-output-{number}"
            output_file.write_text("")
            extra = {key: filled(value, contexts) for key, value in step.get("env", {}).items()}
            settings = dict(self.environment) | {
                "GITHUB_EVENT_PATH": str(event_file),
                "GITHUB_OUTPUT": str(output_file),
                "GITHUB_PATH": str(path_file),
                "GITHUB_STEP_SUMMARY": str(self.folder / f"{name}-summary.md"),
            }
            added = path_file.read_text().split()
            settings["PATH"] = ":".join([*reversed(added), settings["PATH"]])
            done = subprocess.run(
                ["bash", "-e", "-c", filled(step["run"], contexts)],
                cwd=workspace,
                env=settings | extra,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            log.append(f"$ {step['run']}\n{done.stdout}{done.stderr}[{done.returncode}]\n")
            worked = worked and done.returncode == 0
            if "id" in step:
                lines = (line.partition("=") for line in output_file.read_text().splitlines())
                steps[step["id"]] = {"outputs": {key: value for key, _, value in lines}}
        contexts = {**contexts, "steps": steps}
        outputs = {key: filled(value, contexts) for key, value in job.get("outputs", {}).items()}
        return Result("success" if worked else "failure", outputs, "".join(log))


def _checkout(runner: Runner, workspace: Path, given: Mapping[str, str]) -> None:
    assert given["fetch-depth"] == "0"
    git = ["git", "-C", str(workspace)]
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    subprocess.run([*git, "remote", "add", "origin", str(runner.origin)], check=True)
    subprocess.run([*git, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*"], check=True)
    if re.fullmatch("[0-9a-f]{40}", given["ref"]):
        subprocess.run([*git, "fetch", "-q", "origin", given["ref"]], check=True)
        subprocess.run([*git, "checkout", "-q", "--detach", given["ref"]], check=True)
    else:
        subprocess.run([*git, "checkout", "-q", "-B", given["ref"], f"origin/{given['ref']}"], check=True)


def _upload(runner: Runner, workspace: Path, given: Mapping[str, str]) -> None:
    source = workspace / given["path"]
    if source.exists():
        shutil.copytree(source, runner.folder / "artifacts" / given["name"], dirs_exist_ok=True)


ACTIONS: dict[str, Callable[[Runner, Path, Mapping[str, str]], None]] = {
    "actions/checkout": _checkout,
    "actions/setup-python": lambda *_: None,
    "actions/upload-artifact": _upload,
}


def _in_order(jobs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    waiting = dict(jobs)
    while waiting:
        ready = next(name for name, job in waiting.items() if not set(_list(job.get("needs"))) & set(waiting))
        yield ready, waiting.pop(ready)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
