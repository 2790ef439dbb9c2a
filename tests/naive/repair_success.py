"""Partial pooling by sums over a fine table of shared beta distributions, and joins by place one by one."""

import math


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def pooled_means(successes: list[int], runs: list[int], steps: int = 90) -> list[float]:
    """Expected rate of each group; uniform in the mean and the root of one over the concentration, 0.3 to 1000."""
    total, sums = 0.0, [0.0] * len(runs)
    # Of all runs alike: keeps the weights from vanishing.
    base = log_beta(sum(successes) + 1, sum(runs) - sum(successes) + 1)
    for i in range(steps):
        mean = (i + 0.5) / steps
        for j in range(steps):
            concentration = math.exp(math.log(0.3) + (j + 0.5) / steps * math.log(1000 / 0.3))
            a, b = mean * concentration, (1 - mean) * concentration
            weight = concentration**-0.5 * math.exp(
                sum(log_beta(y + a, n - y + b) - log_beta(a, b) for y, n in zip(successes, runs, strict=True)) - base
            )
            total += weight
            for group, (y, n) in enumerate(zip(successes, runs, strict=True)):
                sums[group] += weight * (y + a) / (n + a + b)
    return [value / total for value in sums]


def place_shares(
    run: tuple[float, float], sigma: float, defects: list[tuple[float, float]], density: float
) -> list[float]:
    """Probability of each defect for one run; ``sigma`` of the distance in each axis, the same for all."""
    densities = []
    for x, y in defects:
        squared = ((x - run[0]) ** 2 + (y - run[1]) ** 2) / sigma**2
        densities.append(math.exp(-squared / 2) / (2 * math.pi * sigma**2) if squared <= 25 else 0.0)
    return [value / (sum(densities) + density) for value in densities]
