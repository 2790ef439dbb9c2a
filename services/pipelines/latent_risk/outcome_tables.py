"""Tables of outcomes as claims on units: what became of each, and until when evidence on it counts."""

import math
from collections.abc import Sequence
from datetime import datetime

from services.pipelines.latent_risk.evidence_records import Outcome
from services.pipelines.latent_risk.unit_identity import Claim
from services.pipelines.table_source import SourceTable

KIND = "unit_outcome"
_MEANING = {"failed": True, "survived": False, "": None}


def read_outcomes(sources: Sequence[SourceTable]) -> list[Outcome]:
    """Return every row of ``sources``; an outcome without a time of its own is known since the unit was judged.

    A row without an outcome only traces the unit and says when it was judged: it has no such time.
    """
    return [outcome for source in sources for outcome in _read(source)]


def _read(source: SourceTable) -> list[Outcome]:
    serials, lots, wafers = (source.texts(name) for name in ("unit_id", "lot_id", "wafer_id"))
    xs, ys = (source.numbers(name).tolist() for name in ("die_x", "die_y"))
    judged, known = ([_moment(text) for text in source.texts(name)] for name in ("judged_at", "known_at"))
    found = []
    for row, text in enumerate(source.texts("outcome")):
        x, y = (None if math.isnan(value) else int(value) for value in (xs[row], ys[row]))
        claim = Claim(lots[row], wafers[row], x, y, serials[row])
        known_at = known[row] or judged[row] if text else None
        found.append(Outcome(claim, _MEANING[text], judged[row], known_at, source.file))
    return found


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
