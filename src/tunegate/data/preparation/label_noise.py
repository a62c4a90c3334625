"""Rows whose label is doubtful: a simple model that has not seen a row believes that another label is right.

Five times, a logistic regression of words and parts of words learns from four fifths of the groups and judges the last
fifth; cleanlab (confident learning, arXiv 1911.00068) picks the rows where it is surer of another label than it usually
is. It changes no row and does not decide which of the two labels is right: a person does.
"""

import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

FOLDS = 5
LIMIT = 50_000
"""Rows that are looked at, unless asked otherwise."""
MOST_CLASSES = 200
"""Classes that are looked at: there is a model and a column of probabilities for each."""
_FEATURES = 1 << 14


def issues(
    ids: Sequence[str],
    texts: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int,
    limit: int = LIMIT,
) -> dict[str, Any]:
    """The doubtful rows, the most doubtful first, for label_issues.json.

    `rows` were given, `examined` of them looked at: of more than `limit`, whole groups by a keyed hash; `left_out` are
    those of classes that stand in one group only, which nobody can judge unseen, and of all but the MOST_CLASSES
    largest; `classes_left_out` is how many classes those are. `accuracy` is how often the model was right by the labels
    as they are: what it doubts is worth as much; where nothing could be judged it is null, and `why` tells why. Each of
    `issues` has the row's `id` and `label`, the label `believed`, and the model's `confidence` in that, from 0 to 1.
    The same rows give the same result, in whatever order they come.
    """
    order = sorted(range(len(ids)), key=lambda place: ids[place])
    taken = sample([groups[place] for place in order], seed=seed, limit=limit)
    chosen = [place for place, take in zip(order, taken, strict=True) if take]
    spread: dict[str, set[str]] = defaultdict(set)
    for place in chosen:
        spread[labels[place]].add(groups[place])
    lonely = {label for label, members in spread.items() if len(members) < 2}
    # Each class is a model of its own: beyond so many, the largest are looked at.
    lonely |= set(sorted(spread, key=lambda label: (-len(spread[label]), label))[MOST_CLASSES:])
    examined = [place for place in chosen if labels[place] not in lonely]
    issues_found, accuracy, why = [], None, None
    if len(spread) - len(lonely) < 2:
        why = "there are no two classes of two groups each"
    elif (features := _features([texts[place] for place in examined])) is None:
        why = "the texts have no words and no parts of words"
    else:
        names = [labels[place] for place in examined]
        probabilities, classes = _unseen(features, names, [groups[place] for place in examined], seed)
        numbers = _numbered(names, classes)
        accuracy = round(float((probabilities.argmax(axis=1) == numbers).mean()), 4)
        issues_found = _doubtful([ids[place] for place in examined], numbers, probabilities, classes)
    return {
        "rows": len(ids),
        "examined": len(examined),
        "left_out": len(chosen) - len(examined),
        "classes_left_out": len(lonely),
        "accuracy": accuracy,
        "why": why,
        "issues": issues_found,
    }


def sample(groups: Sequence[str], *, seed: int, limit: int) -> list[bool]:
    """Which rows are looked at, by their groups: all, or whole groups, by a keyed hash, while `limit` has room."""
    if len(groups) <= limit:
        return [True] * len(groups)
    sizes = Counter(groups)
    chosen: set[str] = set()
    for group in sorted(sizes, key=lambda name: _hash(seed, name)):
        if sizes[group] > limit:
            break
        limit -= sizes[group]
        chosen.add(group)
    return [group in chosen for group in groups]


def folds_of(labels: Sequence[str], groups: Sequence[str], *, seed: int) -> list[int]:
    """The fold of each row: groups stay whole, and the groups of a class are dealt out in turn, by a keyed hash."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    of_class: dict[str, list[str]] = defaultdict(list)
    for group, counts in members.items():
        of_class[min(counts, key=lambda label: (-counts[label], label))].append(group)
    fold: dict[str, int] = {}
    for label in sorted(of_class):
        # One class begins where the one before ended, or the first fold would have most.
        first = len(fold)
        for rank, group in enumerate(sorted(of_class[label], key=lambda name: _hash(seed, name))):
            fold[group] = (first + rank) % FOLDS
    return [fold[group] for group in groups]


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=str(seed).encode(), digest_size=16).digest()


def _unseen(features: Any, labels: list[str], groups: list[str], seed: int) -> tuple[Any, list[str]]:
    """Probabilities (rows, classes) by models not trained on the row's group, and the names of the classes."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    classes = sorted(set(labels))
    numbers = _numbered(labels, classes)
    folds = np.array(folds_of(labels, groups, seed=seed))
    probabilities = np.zeros((len(labels), len(classes)))
    # More threads add in another order, and the last digits differ.
    with threadpool_limits(1):
        for fold in sorted(set(folds.tolist())):
            train, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            model = _model().fit(features[train], numbers[train])
            probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return probabilities, classes


def _numbered(labels: list[str], classes: list[str]) -> Any:
    import numpy as np

    places = {label: place for place, label in enumerate(classes)}
    return np.array([places[label] for label in labels])


def _features(texts: list[str]) -> Any:
    """Weights (TF-IDF) of words, pairs of words and parts of words, or None where texts have none.

    Of all texts at once, since labels have no part in it.
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, max_features=_FEATURES)
    parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, max_features=_FEATURES)
    matrices = []
    for weights in (words, parts):
        # Raised where no word stands in two texts, as in short ones without spaces, and where a text has no parts.
        with contextlib.suppress(ValueError):
            matrices.append(weights.fit_transform(texts))
    return csr_matrix(hstack(matrices)) if matrices else None


def _model() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear", dual=True, tol=0.1, random_state=0))


def _doubtful(ids: list[str], numbers: Any, probabilities: Any, classes: list[str]) -> list[dict[str, Any]]:
    from cleanlab.filter import find_label_issues

    places = find_label_issues(
        numbers, probabilities, filter_by="prune_by_noise_rate", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    believed = probabilities.argmax(axis=1)
    return [
        {
            "id": ids[place],
            "label": classes[numbers[place]],
            "believed": classes[believed[place]],
            "confidence": round(float(probabilities[place, believed[place]]), 4),
        }
        for place in places
        if believed[place] != numbers[place]
    ]
