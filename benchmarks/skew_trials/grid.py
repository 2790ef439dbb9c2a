"""The cases of the skew benchmark, in groups that each have a claim."""

from dataclasses import replace

from benchmarks.skew_trials.waveforms import Case

RATIOS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
EFFICIENT_FROM = 5.0
PLAIN = "known edges, A/sigma 5 to 20"
WEAK = "known edges, A/sigma 1 to 3"
LIMITS = "outside the model"
"""What cannot be told from a delay, or what the estimator was not told: shown without a target."""


def groups() -> dict[str, list[Case]]:
    """Return the cases by group."""
    plain = Case("", 10.0)

    def cases(*changes: dict[str, object]) -> list[Case]:
        return [replace(plain, **change) for change in changes]  # type: ignore[arg-type]

    def amplitudes(ratios: tuple[float, ...]) -> list[Case]:
        return [replace(plain, name=f"A/sigma {ratio:g}", ratio=ratio) for ratio in ratios]

    return {
        WEAK: amplitudes(tuple(ratio for ratio in RATIOS if ratio < EFFICIENT_FROM)),
        PLAIN: amplitudes(tuple(ratio for ratio in RATIOS if ratio >= EFFICIENT_FROM)),
        "wrong rise time": [
            replace(plain, name=f"rise time {100 * (wrong - 1):+.0f} %, A/sigma {ratio:g}", assumed=wrong, ratio=ratio)
            for wrong in (0.7, 1.3)
            for ratio in (3.0, 5.0, 20.0)
        ],
        "N/P mixture": cases(
            {"name": "voltage squared -0.15 to 0.5", "bend": 0.5},
            {"name": "the same, A/sigma 3", "bend": 0.5, "ratio": 3.0},
            {"name": "the same, spikes 0.2, rise time +30 %", "bend": 0.5, "spikes": (0.2, 0.2), "assumed": 1.3},
        ),
        "gate spikes": cases(
            {"name": "spikes 0.1", "spikes": (0.1, 0.1)},
            {"name": "spikes 0.3", "spikes": (0.3, 0.3)},
            {
                "name": "spikes -0.3, half as wide, 20 ps late",
                "spikes": (-0.3,) * 2,
                "spike_late_ps": 20.0,
                "spike_wide": 0.5,
            },
        ),
        "correlated noise": cases(
            {"name": "autoregressive, 0.6", "correlation": 0.6},
            {"name": "autoregressive, 0.9", "correlation": 0.9},
            {"name": "0.8, covariance of 8 repeats", "correlation": 0.8, "repeats": 8},
            {"name": "moving mean of 3", "smoothed": 3},
        ),
        "jitter, trigger, detector": cases(
            {"name": "jitter 20 ps in 64 loops", "jitter_ps": 20.0, "loops": 64, "ratio": 20.0},
            {"name": "the same, trigger 5 ps", "jitter_ps": 20.0, "loops": 64, "ratio": 20.0, "trigger_ps": 5.0},
            {"name": "detector of one pole, 40 ps", "pole_ps": 40.0},
            {"name": "samples out of step, 10.7 ps", "dt_ps": 10.7},
            {"name": "coarse samples, 31 ps", "dt_ps": 31.0},
        ),
        "other nets in the spot": cases(
            {"name": "three others, A/sigma 10", "others": (0.8, 0.5, 0.3), "cycles": 48},
            {"name": "three others, A/sigma 5", "others": (0.8, 0.5, 0.3), "cycles": 48, "ratio": 5.0},
        ),
        "outlying edges": cases(
            {"name": "one edge in ten, A/sigma 10", "late": 0.1},
            {"name": "one edge in twenty, A/sigma 5", "late": 0.05, "ratio": 5.0},
        ),
        LIMITS: cases(
            {"name": "spikes 0.3 at rising, 0.1 at falling edges", "spikes": (0.3, 0.1)},
            {"name": "detector of one pole, 40 ps, not told", "pole_ps": 40.0, "pole_told": False},
        ),
    }
