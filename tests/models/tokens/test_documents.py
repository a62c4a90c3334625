import pytest

from tunegate.models.tokens.documents import pieces_of
from tunegate.models.tokens.examples import IGNORED, Example


def document(length: int) -> Example:
    ids = list(range(100, 100 + length))
    return Example("a", ids, [IGNORED, *ids[1:]], tasks={"source": "s"})


@pytest.mark.parametrize("length", [1, 8, 9, 16, 17, 801])
def test_a_document_is_cut_into_as_few_pieces_as_hold_it_and_loses_nothing(length: int) -> None:
    whole = document(length)
    pieces = pieces_of(whole, 8)
    assert [token for piece in pieces for token in piece.ids] == whole.ids
    assert len(pieces) == max(1, -(-length // 8))
    sizes = [len(piece.ids) for piece in pieces]
    assert max(sizes) <= 8
    assert max(sizes) - min(sizes) <= 1


def test_pieces_have_names_of_their_own_and_a_first_token_that_nothing_predicts() -> None:
    pieces = pieces_of(document(20), 8)
    assert [piece.id for piece in pieces] == ["a", "a#2", "a#3"]
    assert all(piece.labels == [IGNORED, *piece.ids[1:]] for piece in pieces)
    assert all(piece.tasks == {"source": "s"} for piece in pieces)


def test_a_document_that_fits_stays_as_it_is() -> None:
    assert pieces_of(document(8), 8) == [document(8)]
