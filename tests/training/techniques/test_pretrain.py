from pathlib import Path

import pytest
from technique_runs import loss_on, require_exact_resume, start_of, trained

from tunegate.errors import InputError
from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.params import Pretrain, Train
from tunegate.training import loop

SETTINGS = Train(
    technique="pretrain", precision="fp32", epochs=4, tokens_per_step=96, learning_rate=0.02, checkpoint_every=3
)
GENERAL = SETTINGS.model_copy(update={"pretrain": Pretrain(general="news")})


def document(name: str, source: str, first: int, step: int) -> Example:
    """Tokens that come round in steps of their own: a language with one rule."""
    ids = [1, *(40 + (first + step * at) % 30 for at in range(18)), 2]
    return Example(name, ids, [IGNORED, *ids[1:]], tasks={"source": source})


TRAIN = [document(f"d{n}", "manuals", n * 7, 3) for n in range(20)]
VALID = [document(f"v{n}", "manuals", n * 11 + 1, 3) for n in range(5)]
NEWS = [document(f"n{n}", "news", n * 5, 11) for n in range(6)]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_perplexity_of_the_domain_falls(tiny_model: Path) -> None:
    start, _ = start_of(tiny_model, SETTINGS)
    before = loss_on(start, VALID)
    model, _ = trained(tiny_model, SETTINGS, TRAIN, VALID)
    assert loss_on(model, VALID) < before - 2


def test_adaptation_resumes_exactly(tiny_model: Path) -> None:
    require_exact_resume(tiny_model, SETTINGS, TRAIN, VALID, passes=7)


def test_general_text_is_neither_learned_nor_part_of_the_loss_on_valid(tiny_model: Path) -> None:
    alone, expected = trained(tiny_model, SETTINGS, TRAIN, VALID)
    with_news, progress = trained(tiny_model, GENERAL, TRAIN + NEWS, VALID + NEWS)
    assert progress.records == expected.records
    assert loss_on(with_news, NEWS) == loss_on(alone, NEWS)
    both, _ = trained(tiny_model, SETTINGS, TRAIN + NEWS, VALID + NEWS)
    assert loss_on(both, NEWS) < loss_on(alone, NEWS)


@pytest.mark.parametrize(
    ("train", "general", "problem"),
    [
        (TRAIN, "new", "no row of a source 'new'; did you mean 'news'"),
        (NEWS, "news", "all rows of the split train are of 'news'"),
    ],
)
def test_a_general_source_that_leaves_nothing_is_refused(
    tiny_model: Path, train: list[Example], general: str, problem: str
) -> None:
    settings = SETTINGS.model_copy(update={"pretrain": Pretrain(general=general)})
    model, technique = start_of(tiny_model, settings)
    with pytest.raises(InputError, match=problem) as caught:
        loop.run(model, train, VALID + NEWS, settings, technique, {})
    assert caught.value.place == "params.yaml: train.pretrain.general"
