import re

from search_findings import TRIALS, findings_with, trial

from tunegate.reporting.search_page import render_search


def test_the_page_says_what_was_best_what_moved_it_and_what_became_of_the_others() -> None:
    page = render_search(
        findings_with([*TRIALS, trial(4, None, state="failed", reason="a <loss> of nan")], ["valid_loss"])
    )
    assert "The best trial<" in page
    assert "2 at the commit" in page
    assert 'style="width:75.0%"' in page
    assert len(re.findall(r'<path class="(?:pruned|failed)"', page)) == 3  # one of them on the losses' plot
    assert "a &lt;loss&gt; of nan" in page
    assert "<b>x</b>" not in page
    assert "<script" not in page
    assert page == render_search(
        findings_with([*TRIALS, trial(4, None, state="failed", reason="a <loss> of nan")], ["valid_loss"])
    )


def test_with_two_objectives_the_front_is_drawn() -> None:
    page = render_search(findings_with(TRIALS, ["valid_loss", "minutes"]))
    assert "No other trial beats 1, 0, 3 in every objective" in page
    assert 'class="front"' in page


def test_a_search_in_which_nothing_was_completed_has_a_page_too() -> None:
    page = render_search(findings_with([trial(0, None, state="failed", reason="x", course=())], ["valid_loss"]))
    assert "The best trial" not in page
    assert "failed: x" in page
