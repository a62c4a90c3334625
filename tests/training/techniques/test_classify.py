from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from rounding import assert_same_run, close
from tiny_models import make_model

from tunegate.errors import InputError
from tunegate.models.batch_layouts import head_logits
from tunegate.models.heads import load_headed
from tunegate.models.labels import Labels, labels_of
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.examples import Example
from tunegate.models.tokens.formats.classes import Classes
from tunegate.params import Classify, Train
from tunegate.training import checkpoint, loop
from tunegate.training.techniques.classify import classify

SETTINGS = Train(
    technique="classify",
    adapter="full",
    precision="fp32",
    epochs=4,
    tokens_per_step=64,
    checkpoint_every=2,
    learning_rate=0.003,
)
SEVERAL = Classify(multi_label=True)
WORDS = {"roof": "the roof leaks", "heat": "no warm water", "noise": "pump hums"}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make_model(name, tmp_path_factory.mktemp(name)) for name in ("bert", "llama")}


def rows(base: Path, count: int = 24, several: bool = False, start: int = 0) -> list[Example]:
    given = []
    for number in range(start, start + count):
        names = sorted(list(WORDS)[i] for i in {number % 3, number % 2 * 2}) if several else [list(WORDS)[number % 3]]
        text = f"{' '.join(WORDS[name] for name in names)} in house {number % 30}"
        given.append({"id": str(number), "messages": None, "text": text, "label": ";".join(names)})
    return list(Classes()(Recipe.of(load_tokenizer(base)), given))


def headed(base: Path, labels: Labels, settings: Train = SETTINGS) -> Any:
    return load_headed(base, labels, device="cpu", precision="fp32", seed=settings.seed).model


def trained(base: Path, settings: Train = SETTINGS, *, several: bool = False) -> tuple[Any, checkpoint.Progress]:
    train, valid = rows(base, several=several), rows(base, 9, several, start=24)
    model = headed(base, labels_of(train, valid, settings.classify), settings)
    return model, loop.run(model, train, valid, settings, classify(settings, model), {})


def accuracy(model: Any, labels: Labels, examples: Sequence[Example]) -> float:
    with torch.no_grad():
        logits = head_logits(model.eval(), [example.ids for example in examples])
    given = (logits.sigmoid() >= labels.threshold).float() if labels.multi else logits.argmax(-1)
    targets = torch.tensor([labels.target(example.target or "") for example in examples])
    right = (given == targets).all(-1) if labels.multi else given == targets
    return float(right.float().mean())


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_classify_beats_its_own_start_on_rows_it_has_not_seen(name: str, several: bool, bases: dict[str, Path]) -> None:
    settings = SETTINGS.model_copy(update={"classify": SEVERAL if several else Classify(), "epochs": 14})
    base = bases[name]
    labels = labels_of(rows(base, several=several), [], settings.classify)
    unseen = rows(base, 18, several, start=40)
    start = accuracy(headed(base, labels), labels, unseen)
    model, progress = trained(base, settings, several=several)
    assert accuracy(model, labels, unseen) >= max(0.9, start + 0.3)
    assert progress.records[-1]["accuracy"] > progress.records[0]["accuracy"]
    losses = [record["valid_loss"] for record in progress.records if record["valid_loss"] is not None]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_classifier_interrupted_and_resumed_equals_the_uninterrupted_one(name: str, bases: dict[str, Path]) -> None:
    whole, expected = trained(bases[name])
    checkpoint.discard()
    train, valid = rows(bases[name]), rows(bases[name], 9, start=24)
    labels = labels_of(train, valid, SETTINGS.classify)
    killed = headed(bases[name], labels)
    stop_after(killed, calls=15)
    with pytest.raises(KeyError):
        loop.run(killed, train, valid, SETTINGS, classify(SETTINGS, killed), {})
    assert checkpoint.FOLDER.is_dir()
    resumed, progress = trained(bases[name])
    assert progress.resumed
    assert progress.records == expected.records
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_the_loss_is_minus_the_log_of_the_probability_of_the_labels(several: bool, bases: dict[str, Path]) -> None:
    settings = SETTINGS.model_copy(update={"classify": SEVERAL if several else Classify()})
    examples = rows(bases["bert"], 7, several)
    labels = labels_of(examples, [], settings.classify)
    model = headed(bases["bert"], labels)
    technique = classify(settings, model)
    with torch.no_grad():
        loss = technique.loss(model, technique.collate(examples))
        expected = 0.0
        for example in examples:
            logits = model(input_ids=torch.tensor([example.ids])).logits
            wanted = torch.tensor([labels.target(example.target or "")])
            expected += float(transformers_loss(model, logits, wanted)) * (len(labels.names) if several else 1)
    assert float(loss.total) == close(expected)


def transformers_loss(model: Any, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The loss of transformers' own classifiers: of several labels, the mean over them."""
    from transformers.loss.loss_utils import ForSequenceClassificationLoss

    found: torch.Tensor = ForSequenceClassificationLoss(wanted, logits, model.config)
    return found


def test_small_batches_give_the_step_that_one_batch_gives(bases: dict[str, Path]) -> None:
    found = []
    for limit in (None, 24):
        examples = rows(bases["bert"])
        model = headed(bases["bert"], labels_of(examples, [], SETTINGS.classify))
        for part in model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        settings = SETTINGS.model_copy(update={"tokens_per_batch": limit, "optimizer": "sgd", "learning_rate": 0.1})
        found.append(loop.run(model, examples, examples[:3], settings, classify(settings, model), {}).records)
        checkpoint.discard()
    one, many = found
    assert_same_run([record["loss"] for record in one], [record["loss"] for record in many])
    assert [record["units"] for record in one] == [record["units"] for record in many]


def test_a_row_longer_than_the_model_has_positions_is_refused_before_the_first_step(bases: dict[str, Path]) -> None:
    examples = rows(bases["bert"])
    long = Example("long", [10] * 80, [-100] * 80, target="roof")
    model = headed(bases["bert"], labels_of(examples, [], SETTINGS.classify))
    with pytest.raises(InputError, match="row long has 80 tokens, the model has 66 positions") as caught:
        loop.run(model, [*examples, long], examples, SETTINGS, classify(SETTINGS, model), {})
    assert caught.value.place == "tokenize.max_length"


def stop_after(model: Any, calls: int) -> None:
    """Make the model raise KeyError in a forward pass of its base, as a kill would end it."""
    left = iter(range(calls))

    def hook(*_: Any) -> None:
        if next(left, None) is None:
            raise KeyError("killed")

    getattr(model, model.base_model_prefix).register_forward_pre_hook(hook)
