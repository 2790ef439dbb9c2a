"""What comparisons with golden dies say of units: how much of what was probed differs, and how far."""

import math
from collections.abc import Mapping
from typing import Any

from services.pipelines.latent_risk.evidence_records import Reading
from services.pipelines.latent_risk.unit_identity import Claim

FEATURES = ("different_part", "largest_z")
_SAME = frozenset({"same"})
_DIFFERENT = frozenset({"different", "no-signal"})


def rule_of_comparison(provenance: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes two comparisons comparable: algorithm, version and constants."""
    return provenance["algorithm"], provenance["algorithm_version"], provenance["parameters"]


def read_comparison(claim: Claim, document: Mapping[str, Any]) -> Reading:
    """Return what the answer about one session says of its unit.

    ``different_part`` is the part of nets and maps that differ, of those that could be judged; ``largest_z`` the
    largest deviation, in standard deviations, of a level of a net or a place of a map.
    """
    nets, maps = (
        [each for each in document[name] if each["verdict"] in _SAME | _DIFFERENT] for name in ("nets", "maps")
    )
    decided = [*nets, *maps]
    if not decided:
        return Reading(claim, reason="nothing that was probed could be judged against the golden session")
    different = sum(each["verdict"] in _DIFFERENT for each in decided)
    sizes = [net.get("largest_z") for net in nets]
    sizes += [place.get("height_sigma") for each in maps for place in each["differences"]]
    largest = max((abs(float(size)) for size in sizes if _is_number(size)), default=math.nan)
    return Reading(claim, (different / len(decided), largest))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
