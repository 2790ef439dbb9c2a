"""The first transition of a waveform, sample by sample."""

from collections.abc import Sequence


def first_edge(values: Sequence[float], low: float, high: float) -> float | None:
    """The place of the 50 % instant, in samples; ``None`` when the waveform stays at one level."""
    state: str | None = None
    crossing: float | None = None
    middle = (low + high) / 2
    for place, value in enumerate(values):
        if place and state is not None and (values[place - 1] > middle) != (value > middle):
            before = values[place - 1]
            crossing = place - 1 + (middle - before) / (value - before)
        now = "low" if value < low + 0.1 * (high - low) else "high" if value > low + 0.9 * (high - low) else None
        if now is not None and state is not None and now != state:
            return crossing
        if now is not None:
            state, crossing = now, None
    return None
