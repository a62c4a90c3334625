from tunegate.text import did_you_mean, listed, short, visible, without_secrets, words


def test_the_nearest_name_is_offered_whatever_its_case() -> None:
    assert did_you_mean("labels", ["text", "Label"]) == "; did you mean 'Label'?"


def test_nothing_is_offered_when_nothing_is_near() -> None:
    assert did_you_mean("xyz", ["text", "label"]) == ""


def test_a_long_list_says_how_much_it_leaves_out() -> None:
    assert listed("abc") == "a, b, c"
    assert listed("abcde", 2) == "a, b and 3 more"
    assert listed("abc", 2, count=2_000) == "a, b and 1,998 more"
    assert listed([], 2) == ""


def test_a_cut_text_says_that_it_is_cut() -> None:
    assert (short("abc", 3), short("abcd", 3), words("not_in_test")) == ("abc", "ab…", "not in test")


def test_a_secret_is_taken_out_in_every_form_and_so_is_any_password_in_a_url() -> None:
    text = "no: p@ss/1 p%40ss%2F1 mysql://reader:pw@host/db, http://:pw@h\nmore"
    assert without_secrets(text, ["p@ss/1", ""]) == "no: *** *** mysql://***@host/db, http://***@h"


def test_visible_text_keeps_what_does_no_harm() -> None:
    assert visible("å 🙂\u00a0中\n\t\\x") == "å 🙂\u00a0中\n\t\\x"
    assert visible("a\nb", keep="") == "a\\nb"
    assert visible("\ud800") == "\\ud800"
