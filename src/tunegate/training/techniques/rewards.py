"""What answers are worth: the programs that params.yaml names, each a number per answer.

Patterns, schemas and functions run in a process of their own, without our environment, and a call that takes too long
is killed. Reads the files that rewards name, which must lie in the folder that the stage `train` depends on.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_json, sha256_of
from tunegate.params import Reward, Train
from tunegate.training.techniques.reward_process import RewardError, RewardProcess

_PLACE = "params.yaml: train.reinforce.rewards"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A sampled answer and the row that it answers."""

    row: str
    """The row's id."""
    text: str
    reference: str | None
    """The row's own answer."""
    prompt: str
    """The prompt, as text."""
    tasks: dict[str, str]
    """The row's slices and source."""

    def as_row(self) -> dict[str, Any]:
        """What a function gets to know about the row."""
        return {"id": self.row, "reference": self.reference, "prompt": self.prompt, "slices": self.tasks}


class Rewards:
    """The rewards of params.yaml, ready to score answers."""

    def __init__(self, rewards: Sequence[Reward]) -> None:
        """Start the processes. Raises InputError for a reward that cannot run."""
        self._rewards = tuple(rewards)
        self.names = _names(rewards)
        self._processes = [_process(reward, f"{_PLACE}[{index}]") for index, reward in enumerate(rewards)]

    def __call__(self, answers: Sequence[Answer]) -> list[tuple[float, ...]]:
        """The value of every reward for each answer, in the order of `names`, without weights.

        Raises RefusedError that names reward and row where one raises, takes too long or gives a value that is not
        finite; InputError where a row has no answer to compare with.
        """
        columns = [
            [self._value(index, reward, answer) for answer in answers] for index, reward in enumerate(self._rewards)
        ]
        return list(zip(*columns, strict=True))

    def total(self, values: Sequence[float]) -> float:
        """The weighted sum of one answer's values."""
        return sum(reward.weight * value for reward, value in zip(self._rewards, values, strict=True))

    def _value(self, index: int, reward: Reward, answer: Answer) -> float:
        process = self._processes[index]
        if process is None:
            return _matches(answer)
        try:
            return process.value(answer.text, answer.as_row())
        except RewardError as failure:
            what = reward.function or f"{reward.kind} {reward.pattern or reward.schema_file}"
            remedy = "correct it, or raise timeout_seconds of this reward if it needs longer"
            raise RefusedError(f"the reward {what} {failure}", place=f"row {answer.row}", remedy=remedy) from None


def files_of(settings: Train, folder: Path) -> dict[str, str]:
    """The files that the settings name, with their sha256: training depends on what is in them.

    Raises InputError for one that is not in `folder`.
    """
    if settings.technique != "reinforce":
        return {}
    files = {}
    for index, reward in enumerate(settings.reinforce.rewards):
        place = f"{_PLACE}[{index}]"
        path = _file_of(reward, place)
        if path is None:
            continue
        if folder not in path.parents or not path.resolve().is_relative_to(folder.resolve()):
            remedy = f"move the file to {folder}/: the pipeline only notices changes there"
            raise InputError(f"{path} is not in {folder}/", place=place, remedy=remedy)
        files[str(path)] = sha256_of(path)
    return files


def _names(rewards: Sequence[Reward]) -> tuple[str, ...]:
    """`reward_<kind>`, or `reward_<function>`; numbered where several are called the same."""
    plain = [f"reward_{(reward.function or reward.kind).rpartition(':')[2]}" for reward in rewards]
    return tuple(
        name if plain.count(name) == 1 else f"{name}_{plain[: index + 1].count(name)}"
        for index, name in enumerate(plain)
    )


def _matches(answer: Answer) -> float:
    if answer.reference is None:
        remedy = "give the row an answer, or reward by something else than exact_match"
        raise InputError("no answer to compare with", place=f"row {answer.row}", remedy=remedy)
    return float(answer.text.strip() == answer.reference.strip())


def _process(reward: Reward, place: str) -> RewardProcess | None:
    path = _file_of(reward, place)
    match reward.kind:
        case "exact_match":
            return None
        case "regex":
            request: dict[str, Any] = {"pattern": reward.pattern}
        case "json_schema":
            assert path is not None
            request = {"schema": read_json(path)}
        case "python":
            assert reward.function is not None
            request = {"path": str(path), "function": reward.function.rpartition(":")[2]}
    try:
        return RewardProcess({"kind": reward.kind, **request}, reward.timeout_seconds)
    except RewardError as failure:
        shown = reward.function or reward.pattern or reward.schema_file
        raise InputError(f"{shown} cannot be used: {failure}", place=place, remedy="correct it") from None


def _file_of(reward: Reward, place: str) -> Path | None:
    named = reward.schema_file
    if reward.function is not None:
        named, colon, function = reward.function.rpartition(":")
        if not (colon and function.isidentifier()):
            problem = f"must be <path>:<function> (got {reward.function!r})"
            raise InputError(problem, place=f"{place}.function", remedy="for instance rewards/answers.py:polite")
    if named is None:
        return None
    if not Path(named).is_file():
        raise InputError(f"no file {named}", place=place, remedy="correct the path, from the repository's root")
    return Path(named)
