"""Why a part falls out, in words, from the reasons of a screening's answer."""

from collections.abc import Mapping
from typing import Any

REASON_WORDS = {
    "part-average": "a reading far from its sisters'",
    "neighbour-residual": "a reading that its neighbours do not explain",
    "bad-neighbourhood": "a good die among failing ones",
    "stack": "its place fails through the lot",
    "multivariate": "tests that do not fit each other",
    "signatures": "fails of the wafer do not lie by chance",
}
"""What each screen asks."""
_MOST_NAMED = 3


def describe_reason(reason: Mapping[str, Any]) -> str:
    """Return why a part falls out, in a few words with the numbers."""
    screen = reason["screen"]
    if screen in ("part-average", "neighbour-residual"):
        of = "" if screen == "part-average" else " less the good neighbours' median"
        kind = f"{reason['limits']} limits" if "limits" in reason else "limits"
        value = f"{reason['test']}{of} {_number(reason['value'])} {reason['unit']}".rstrip()
        return f"{value}, {kind} {reason['low']:.6g} to {reason['high']:.6g} ({_sigmas(reason['sigmas'])})"
    if screen == "bad-neighbourhood":
        return f"fail score {reason['score']:.3g} around it, threshold {reason['threshold']:g}"
    if screen == "stack":
        return f"its place failed on {reason['fails']} of {reason['wafers']} wafers, p {reason['p_value']:.1g}"
    of = "residuals" if reason.get("of") == "residuals" else "readings"
    tests = ", ".join(reason["tests"]) if len(reason["tests"]) <= _MOST_NAMED else f"{len(reason['tests'])} tests"
    return f"distance {reason['distance']:.3g} over {of} of {tests}, limit {reason['limit']:.3g}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _sigmas(value: float | str) -> str:
    return f"{value} sigma" if isinstance(value, str) else f"{value:+.1f} sigma"
