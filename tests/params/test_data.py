from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("  test_share: 0.2", "  test_share: 1.4", "params.yaml: prepare.test_share: must be less than 1 (got 1.4)"),
        (
            "  test_share: 0.2",
            "  test_share: 0.95",
            "params.yaml: prepare: test_share + valid_share must be less than 1",
        ),
        ("  split_key: permit-helpdesk", '  split_key: ""', "params.yaml: prepare.split_key: "),
    ],
)
def test_splits_that_leave_nothing_or_have_no_key_are_refused(
    fault: Callable[[str, str], str], line: str, instead: str, problem: str
) -> None:
    assert problem in fault(line, instead)


@pytest.mark.parametrize(
    ("instead", "problem"),
    [
        ("[{kind: template}]", "at least one text in templates with kind template (got 0)"),
        ('[{kind: template, templates: ["hi"]}]', "templates with {text} in each"),
        ('[{kind: typo, templates: ["{text}"]}]', "no templates with kind typo (got 1)"),
        ('[{kind: template, templates: ["{text}"], rate: 0.1}]', "no rate with kind template"),
        ('[{kind: back_translation, templates: ["{text}"]}]', "two prompts in templates with kind back_translation"),
        (
            '[{kind: back_translation, templates: ["a {text}", "b {text}"], copies: 2}]',
            "one copy with kind back_translation",
        ),
    ],
)
def test_an_augmentation_that_says_too_little_or_nothing_is_refused(
    fault: Callable[[str, str], str], instead: str, problem: str
) -> None:
    assert problem in fault("  augment: []", f"  augment: {instead}")
