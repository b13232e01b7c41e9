"""What the chapter on whether the claims hold alone needs."""

from __future__ import annotations

from collections.abc import Sequence

from figures_pkg.claims.rows import UNTESTED, Claim
from figures_pkg.claims.run import read_verdicts
from figures_pkg.workspace import artefact_path


def twin_verdicts(claims: Sequence[Claim], profile: str) -> dict[str, dict]:
    """
    What each claim gives on the twin, to stand beside what was measured.

    Parameters
    ----------
    claims
        The rows of claims.yaml.
    profile
        Whose verdicts: those evaluated here, else those that claims.yaml states for the profile, else for another one.

    Returns
    -------
    dict
        Id -> ``verdict``, ``words`` (the condition, or another verdict that the profile may have) and ``stated``, the profile for which
        claims.yaml states it; empty where the verdict was evaluated here.
    """
    path = artefact_path("claims/claims.json", "twin", profile)
    evaluated = {row["id"]: row for row in read_verdicts(path)["rows"]} if path.is_file() else {}
    given = {}
    for claim in claims:
        if row := evaluated.get(claim.id):
            given[claim.id] = {"verdict": row["verdict"], "words": row["words"], "stated": ""}
            continue
        where = profile if profile in claim.verdict else next(iter(reversed(claim.verdict)), profile)
        first, *others = claim.verdict.get(where, (UNTESTED,))
        given[claim.id] = {"verdict": first, "words": "".join(f"or {other}" for other in others), "stated": where}
    return given
