"""Scores of every unit under stress: how likely it passes the threshold, and how unlike the others it drifts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.degradation.errors import DegradationError
from analysis.degradation.law_mixture import LawForecaster
from analysis.degradation.methods import Choice
from analysis.degradation.readout_paths import Floats
from analysis.degradation.thresholds import Threshold
from analysis.degradation.unit_scores import score_crossings, score_drift
from instruments.records import Table
from services.pipelines.reliability.degradation_tables import ParameterPaths

KIND = "unit_score"
"""Of the table's rows: one for each parameter of each unit."""

MOST_UNITS = 20_000
"""Of one parameter whose units are all scored; drawing the paths of more takes too long."""

COLUMNS = {
    "crossing": "probability that the path passes the threshold by the horizon",
    "drift": "amplitude of the drift, in standard deviations of the population from the median unit",
}


@dataclass
class UnitScores:
    """Scores of the units of all parameters; ``horizon_h`` by parameter, where its units may pass a threshold by then.

    ``refused`` says by parameter why its units have none.
    """

    rows: list[tuple[str, str, str, float, float]] = field(default_factory=list)
    horizon_h: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def note(self, each: ParameterPaths, crossing: Floats, drift: Floats) -> None:
        """Keep both scores of every unit of a parameter, NaN for none."""
        for name, first, second in zip(each.paths.names, crossing.tolist(), drift.tolist(), strict=True):
            lot, device = each.devices[name]
            self.rows.append((device, lot, each.parameter, first, second))

    def describe(self) -> dict[str, Any]:
        """Return what the answer says of its scores."""
        return {
            "rows": len(self.rows),
            "columns": dict(COLUMNS),
            "horizon_h": dict(self.horizon_h),
            "refused": dict(self.refused),
        }

    def to_table(self) -> Table:
        """Return device, lot, parameter and both scores; NaN is not known, an empty lot not named."""
        texts = np.dtypes.StringDType()
        columns: dict[str, Any] = {
            name: np.asarray([row[place] for row in self.rows], texts)
            for place, name in enumerate(("device_id", "lot_id", "parameter"))
        }
        for place, name in enumerate(COLUMNS, len(columns)):
            columns[name] = np.asarray([row[place] for row in self.rows], np.float64)
        return Table("unit scores", columns, dict.fromkeys(columns, ""), KIND)


def score_parameter(
    scores: UnitScores,
    each: ParameterPaths,
    choice: Choice,
    laws: LawForecaster | None,
    asked: tuple[Threshold | None, float, int],
) -> None:
    """Note the scores of all units of a parameter; ``asked`` is the threshold, if any, the horizon in h, the seed."""
    paths = each.paths
    if paths.units > MOST_UNITS:
        scores.refused[each.parameter] = f"scores of more than {MOST_UNITS} units are not kept: give fewer lots"
        return
    threshold, horizon_h, seed = asked
    nothing = np.full(paths.units, np.nan)
    crossing, drift = nothing, nothing
    if threshold is not None:
        try:
            found = score_crossings(choice.fitted[:1], paths, threshold, horizon_h, choice.stretches[:1], seed)
            crossing = found.probability
            scores.horizon_h[each.parameter] = horizon_h
        except DegradationError as error:
            scores.refused[each.parameter] = str(error)
    best = next((law.fit for law in laws.laws if law.fit is not None), None) if laws is not None else None
    if best is not None and best.structure.names.index("amplitude") in best.structure.random:
        drift = score_drift(best, paths).faster
    scores.note(each, crossing, drift)
