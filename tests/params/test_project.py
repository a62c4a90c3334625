from collections.abc import Callable
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.params import Compute, parse


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        (
            "  technique: sft",
            "  technique: distill",
            "params.yaml: base.teacher must be named for technique distill, and for no other",
        ),
        ("  teacher: null", "  teacher: a", "params.yaml: base.teacher must be named for technique distill"),
        ("  translator: null", "  translator: other", "base.translator must be named for augment kind"),
        (
            "  augment: []",
            '  augment: [{kind: back_translation, templates: ["a {text}", "b {text}"]}]',
            "base.translator must be named for augment kind back_translation",
        ),
    ],
)
def test_a_model_is_named_where_something_asks_for_it_and_only_there(
    fault: Callable[[str, str], str], line: str, instead: str, problem: str
) -> None:
    assert problem in fault(line, instead)


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("  over_length: drop", "  over_length: split", "tokenize.over_length must not be split with technique sft"),
        (
            "  turns: last\n  augment: []\n\ntrain:\n  technique: sft",
            "  turns: all\n  augment: []\n\ntrain:\n  technique: pretrain",
            "tokenize.turns must be last with technique pretrain",
        ),
    ],
)
def test_rows_are_treated_only_as_the_technique_can(
    fault: Callable[[str, str], str], line: str, instead: str, problem: str
) -> None:
    assert problem in fault(line, instead)


@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ({}, True),
        ({"processes": 2, "strategy": "ddp"}, True),
        ({"nodes": 2, "strategy": "fsdp2"}, True),
        ({"processes": 2}, False),
        ({"nodes": 2}, False),
        ({"strategy": "ddp"}, False),
    ],
)
def test_several_processes_and_a_strategy_go_together(values: dict[str, Any], accepted: bool) -> None:
    if accepted:
        assert parse(Compute, values, place="params.yaml: compute", remedy="") == Compute(**values)
    else:
        with pytest.raises(InputError, match="strategy ddp or fsdp2 with several processes"):
            parse(Compute, values, place="params.yaml: compute", remedy="")


@pytest.mark.parametrize("memory", ["0GB", "1.5GB", "4TB", "4 GB", "4gb"])
def test_a_size_of_memory_has_a_whole_number_and_a_unit(memory: str) -> None:
    assert Compute(memory="512MB").memory == "512MB"
    with pytest.raises(InputError, match="memory"):
        parse(Compute, {"memory": memory}, place="params.yaml: compute", remedy="")
