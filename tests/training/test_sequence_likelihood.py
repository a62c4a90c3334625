import pytest
import torch
from causal_models import causal_model
from rounding import is_close

from tunegate.models.tokens.examples import IGNORED, Example
from tunegate.training.sequence_likelihood import answered, laid_out, log_probs

ROWS = [
    Example("two", [1, 5, 6, 7], [IGNORED, IGNORED, 6, 7]),
    Example("none", [1, 5], [IGNORED, IGNORED]),
    Example("one", [1, 8, 9], [IGNORED, IGNORED, 9]),
]


def test_each_trained_position_belongs_to_its_sequence() -> None:
    sequences = laid_out(ROWS)
    assert sequences.owners.tolist() == [0, 0, 2]
    assert sequences.lengths.tolist() == [2, 0, 1]
    values = torch.tensor([-1.0, -2.0, -5.0])
    assert sequences.sums(values).tolist() == [-3, 0, -5]
    assert laid_out([ROWS[0], ROWS[2]]).means(values).tolist() == [-1.5, -5]


def test_another_answer_takes_the_place_of_the_trained_tokens_after_the_same_prompt() -> None:
    other = answered(ROWS[0], [3, 4, 2])
    assert (other.id, other.ids, other.labels) == ("two", [1, 5, 3, 4, 2], [IGNORED, IGNORED, 3, 4, 2])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 4.0])
def test_log_probabilities_are_those_of_the_distribution_at_the_temperature(temperature: float) -> None:
    model, expected = causal_model("llama"), []
    with torch.no_grad():
        for row in ROWS:
            logits = model(input_ids=torch.tensor([row.ids])).logits[0] / temperature
            trained = [place for place, label in enumerate(row.labels) if label != IGNORED]
            expected += [logits[place - 1].log_softmax(-1)[row.labels[place]] for place in trained]
        assert is_close(log_probs(model, laid_out(ROWS).tokens, temperature), torch.stack(expected), 4)
