"""SIMULATED units whose log odds of failing are known: each modality is one look at them, with noise of its own."""

import numpy as np

from analysis.latent_risk.evidence import Evidence, Modality

DAY_S = 86400.0


def simulate(count: int = 700, *, seed: int = 1, missing: float = 0.2, base: float = -1.5) -> Evidence:
    """Return units with a strong, a weak and a useless modality, each missing in a part ``missing`` of them."""
    generator = np.random.default_rng(seed)
    strong, weak = generator.normal(size=(2, count))
    odds = base + 1.6 * strong + 0.8 * weak
    failed = generator.uniform(size=count) < 1 / (1 + np.exp(-odds))
    looks = {
        "electrical": np.stack([strong, generator.normal(size=count)], axis=1),
        "mask": np.stack([weak, weak**2, np.full(count, 3.0)], axis=1),
        "repair": generator.normal(size=(count, 2)),
    }
    modalities = tuple(
        Modality(name, tuple(f"f{column}" for column in range(values.shape[1])), hide(values, generator, missing))
        for name, values in looks.items()
    )
    time_s = np.arange(count) * DAY_S / 24
    units = tuple(f"U{number}" for number in range(count))
    return Evidence(units, time_s, failed.astype(np.int8), time_s + DAY_S, modalities)


def hide(values: np.ndarray, generator: np.random.Generator, part: float) -> np.ndarray:
    gone = generator.uniform(size=values.shape[0]) < part
    return np.where(gone[:, None], np.nan, values)
