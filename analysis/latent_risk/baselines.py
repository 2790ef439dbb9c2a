"""What a fused model has to beat: one plain model over all features at once, missing ones filled with medians."""

from dataclasses import dataclass

import numpy as np

from analysis.latent_risk.calibration import Calibrator, fit_calibrator
from analysis.latent_risk.evidence import Evidence, Flags, Floats, Modality
from analysis.latent_risk.folds import TimeBlocks
from analysis.latent_risk.heads import Head, HeadKind, fit_head
from analysis.latent_risk.patterns import outcomes_failed
from analysis.latent_risk.training import held_out_scores

BASELINE_RIDGE = 0.1


@dataclass(frozen=True)
class Baseline:
    """A plain model of all features with Platt's calibration on scores that lay in the future."""

    name: str
    head: Head
    calibrator: Calibrator

    def probability(self, evidence: Evidence) -> Floats:
        """Return the probability of failing of the units in ``evidence``, float64 ``(units,)``."""
        return self.calibrator.apply(self.head.score(_join(evidence).values))


def _join(evidence: Evidence) -> Modality:
    """All features side by side; names are kept apart, so that traces are taken as they are."""
    names = tuple(f"{each.name}.{feature}" for each in evidence.modalities for feature in each.features)
    return Modality("all", names, np.concatenate([each.values for each in evidence.modalities], axis=1))


def fit_baselines(development: Evidence, blocks: TimeBlocks, trees: int, seed: int) -> tuple[Baseline, ...]:
    """Return the rate of failures, a logistic regression and, with ``trees``, a forest, learned from ``development``.

    ``blocks`` are the development's, ``seed`` is of the forest.
    """
    kinds = {"logistic regression": HeadKind("logistic", BASELINE_RIDGE)}
    if trees:
        kinds["forest"] = HeadKind("forest", trees=trees, seed=seed)
    failed = outcomes_failed(development.outcome)
    joined = _join(development)
    fitted = [_fit(name, kind, joined, failed, blocks) for name, kind in kinds.items()]
    return (_constant_rate(joined, failed), *fitted)


def _constant_rate(joined: Modality, failed: Flags) -> Baseline:
    """Every unit fails with the same probability: what a model says that has learned nothing."""
    head = fit_head(HeadKind("logistic", BASELINE_RIDGE), joined.features, np.zeros_like(joined.values), failed)
    return Baseline("constant rate", head, Calibrator("identity", limit=1 / (failed.size + 2)))


def _fit(name: str, kind: HeadKind, joined: Modality, failed: Flags, blocks: TimeBlocks) -> Baseline:
    # A unit of which most is missing is still asked about: presence is not asked here.
    everywhere = _Everywhere(joined.name, joined.features, joined.values)
    scores = held_out_scores(everywhere, failed, blocks, kind)
    rows = np.isfinite(scores)
    calibrator = fit_calibrator("platt", scores[rows], failed[rows])
    return Baseline(name, fit_head(kind, joined.features, joined.values, failed), calibrator)


class _Everywhere(Modality):
    @property
    def present(self) -> Flags:
        return np.ones(self.values.shape[0], np.bool_)
