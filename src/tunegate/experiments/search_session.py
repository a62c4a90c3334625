"""A search from its declaration to its findings: what `tunegate search` and whoever else searches calls.

Everything it writes is below .tunegate/search/<name>/ and .tunegate/runs/; the working tree is not read, but for the
declaration: trials are of a commit.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tunegate.errors import InputError
from tunegate.experiments.declaration import FILE, REMEDY, Search
from tunegate.experiments.sampler import choose, trials_of
from tunegate.experiments.search import Searcher
from tunegate.experiments.search_results import Findings, findings_of
from tunegate.experiments.space import PARAMS, changed, present, require_known, values_of
from tunegate.experiments.storage import FOLDER, open_study, sole_searcher
from tunegate.experiments.trial_runner import Setting
from tunegate.experiments.trials import Trial
from tunegate.params import parse
from tunegate.repository.revisions import Repository


class Machines(NamedTuple):
    """Who searches: how many trials at once here, and with whom."""

    workers: int = 1
    storage: str = ""
    """URL of a PostgreSQL database that machines share; empty for a journal here."""
    adopt: bool = False
    """Whether to run what other machines have left unfinished."""


def setting_of(repository: Repository, declared: dict[str, Any]) -> Setting:
    """The search at HEAD. Raises InputError for a fault of the declaration, or a key that params.yaml cannot have."""
    search = parse(Search, declared, place=str(FILE), remedy=REMEDY)
    commit = repository.resolve("HEAD")
    text = repository.read(commit, PARAMS)
    if text is None:
        raise InputError("not in the commit", place=PARAMS, remedy=f"git add {PARAMS}, and commit it")
    require_known(text, search)
    name = search.title(commit)
    return Setting(repository, search, name, commit, repository.root / FOLDER / name)


def rehearse(setting: Setting) -> Iterator[tuple[dict[str, Any], str]]:
    """The parameters of the first batch, and why params.yaml's schema refuses them, if it does. Runs nothing."""
    import optuna

    search, text = setting.search, setting.repository.read(setting.commit, PARAMS) or ""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=[objective.direction for objective in search.objectives])
    for _ in range(min(search.batch, trials_of(search))):
        choose(study, search, present(text, search), {})
    for trial in study.get_trials(deepcopy=False):
        values = values_of(search, trial.params)
        try:
            changed(text, values)
        except InputError as error:
            yield values, f"{error.place}: {error.problem}"
        else:
            yield values, ""


def conduct(setting: Setting, machines: Machines, see: Callable[[Trial], None]) -> Findings:
    """Run what is left of the search, showing every trial to `see` when it has ended; return what was found."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(sole_searcher(setting.folder))
        study = stack.enter_context(
            open_study(setting.search, setting.name, setting.commit, setting.folder, machines.storage)
        )
        searcher = Searcher(study, setting, workers=machines.workers, adopt=machines.adopt)
        if machines.workers > 1 and len(searcher.told()) < trials_of(setting.search):
            searcher.prepare()
        for trial in searcher.run():
            see(trial)
        return findings_of(study, setting, searcher.told(), searcher.elsewhere())
