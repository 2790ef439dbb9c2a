"""Tables of SIMULATED unit evidence as text."""

import math
from datetime import UTC, datetime

from analysis.latent_risk.evidence import FAILED, SURVIVED, Evidence

EPOCH = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
_WORDS = {FAILED: "failed", SURVIVED: "survived"}


def write_evidence(evidence: Evidence, *, told: bool = True, labelled: bool = True, prefix: str = "") -> str:
    """Return the table; ``told`` says the outcomes, ``labelled`` that it is simulated, ``prefix`` begins the units."""
    names = [f"{each.name}.{feature}" for each in evidence.modalities for feature in each.features]
    lines = ["# simulated: true"] if labelled else []
    lines.append(",".join(["unit_id", "judged_at", "outcome", "known_at", *names]))
    for row, unit in enumerate(evidence.units):
        times = [
            datetime.fromtimestamp(EPOCH + float(seconds[row]), UTC).isoformat()
            for seconds in (evidence.time_s, evidence.known_at_s)
        ]
        outcome = _WORDS[int(evidence.outcome[row])] if told else ""
        values = [value for each in evidence.modalities for value in each.values[row].tolist()]
        cells = ["" if math.isnan(value) else repr(value) for value in values]
        lines.append(",".join([prefix + unit, times[0], outcome, times[1] if told else "", *cells]))
    return "\n".join(lines) + "\n"
