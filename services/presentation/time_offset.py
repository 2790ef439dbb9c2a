"""What a localization says of its waveforms' times, as people read it."""

from typing import Any

TOLD_BELOW = 0.5
"""Probability that the waveforms come as stated below which a reader is told."""


def describe_offset(document: dict[str, Any]) -> str:
    """Return one sentence where the waveforms of a localization's ``document`` hardly come when their times say.

    Empty where they do, without waveforms, and in answers that do not tell.
    """
    offset = document.get("time_offset")
    if not offset or offset["stated"] >= TOLD_BELOW:
        return ""
    cycles = abs(offset["cycles"])
    unit, when = "cycle" if cycles <= 1 else "cycles", "later" if offset["cycles"] > 0 else "earlier"
    return (
        f"The waveforms seem to come {cycles:g} {unit} {when} than their times say "
        f"(probability {offset['probability']:.2f}): check the trigger, and which pattern is cycle 0."
    )
