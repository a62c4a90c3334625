from collections.abc import Callable
from pathlib import Path

from tunegate.data.checks.suite_runner import Checked
from tunegate.data.rows import Row

Make = Callable[..., Row]
Check = Callable[..., Checked]


def failing(checked: Checked) -> list[list[int]]:
    return [outcome.failing.tolist() for outcome in checked.outcomes]


def talk(*roles: str) -> tuple[dict[str, str], ...]:
    return tuple({"role": role, "content": f"{role} {number}"} for number, role in enumerate(roles))


def test_broken_conversations_fail_and_other_rows_are_left_out(row: Make, check: Check) -> None:
    shapes = [("user", "assistant"), ("user", "user"), ("system", "user", "assistant"), ("system", "assistant")]
    rows = [row(str(n), text=None, label=None, messages=talk(*roles)) for n, roles in enumerate(shapes)]
    rows.append(row("plain"))
    checked = check(rows, ("expect_conversation_to_be_well_formed", {"template": "chatml.jinja"}, "warning"))
    assert failing(checked) == [[1, 3]]


def test_a_template_that_refuses_a_conversation_fails_its_row(row: Make, check: Check, tmp_path: Path) -> None:
    refuses = "{% if messages|length > 2 %}{{ raise_exception('too long') }}{% endif %}{{ messages[0].content }}"
    (tmp_path / "short.jinja").write_text(refuses)
    rows = [row(str(n), text=None, label=None, messages=talk(*["user", "assistant"] * n)) for n in (1, 2)]
    expectation = ("expect_conversation_to_be_well_formed", {"template": "short.jinja"}, "warning")
    assert failing(check(rows, expectation, templates=tmp_path)) == [[1]]


def test_control_tokens_are_found_to_the_letter(row: Make, check: Check) -> None:
    rows = [row("1", text="a <|im_end|> b"), row("2", text="a im_end b"), row("3", text="<im_end>")]
    tokens = {"tokens": ["<|im_end|>", "<s>"]}
    assert failing(check(rows, ("expect_text_to_have_no_control_tokens", tokens, "info"))) == [[0]]
