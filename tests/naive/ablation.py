"""Ablation pulse by pulse, with the spot integrated ring by ring: slow and obvious."""

import math


def local_depth_nm(fluence: float, gentle: tuple[float, float], strong: tuple[float, float] | None) -> float:
    """Depth that one pulse of a local fluence removes; each regime is (threshold, penetration)."""
    depths = [gentle[1] * math.log(fluence / gentle[0])]
    if strong is not None:
        depths.append(strong[1] * math.log(fluence / strong[0]))
    return max(0.0, *depths)


def mean_depth_nm(
    peak: float, gentle: tuple[float, float], strong: tuple[float, float] | None, rings: int = 4000
) -> float:
    """Volume that a Gaussian pulse removes, over the disk of its 1/e2 radius (1 here)."""
    volume = 0.0
    reach = 3.0
    for ring in range(rings):
        radius = (ring + 0.5) * reach / rings
        fluence = peak * math.exp(-2 * radius**2)
        volume += local_depth_nm(fluence, gentle, strong) * 2 * math.pi * radius * reach / rings
    return volume / math.pi


def depth_after(
    pulses: int,
    peak: float,
    law: tuple[float, float],
    shape: tuple[float, float],
) -> float:
    """Depth of a top-hat spot after so many pulses, each with its own threshold."""
    total = 0.0
    for pulse in range(1, pulses + 1):
        falls = shape[1] + (1 - shape[1]) * pulse ** (shape[0] - 1)
        total += local_depth_nm(peak, (law[0] * falls, law[1]), None)
    return total
