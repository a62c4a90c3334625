"""How often a test set was looked at: every use wears it out (Karlaš et al., ease.ml/ci, arXiv 1903.00278).

A use is another model's metrics on the same test set, anywhere in the history of the two commits; the same model twice
is one. Counted from reports/metrics.json, so that anyone with the commits counts the same. Attempts that no branch
kept, or that a squash folded into one commit, are not known to git and so not counted.
"""

from tunegate.files import parse_json
from tunegate.repository.revisions import Repository
from tunegate.review.guards import METRICS


def uses_of(repository: Repository, revisions: list[str], test_set: str, candidate: str) -> int:
    """How many models were measured on the test set with this sha256, `candidate` (a lineage key) included."""
    seen = {candidate}
    for commit, content in repository.versions(revisions, METRICS).items():
        metrics = parse_json(content.decode("utf-8", "replace"), place=f"{commit[:12]}:{METRICS}")
        if isinstance(metrics, dict) and metrics.get("test_set") == test_set:
            seen.add(str(metrics.get("lineage")))
    return len(seen)
