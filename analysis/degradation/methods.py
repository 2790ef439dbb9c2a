"""The methods by name, which of them are challengers, and forecasts from the one that won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.degradation.errors import DegradationError, NotFitted
from analysis.degradation.forecasting import Forecaster, Judgement, Method, Trial, try_methods
from analysis.degradation.gaussian_process import fit_gaussian_process
from analysis.degradation.latent_ode import fit_latent_ode
from analysis.degradation.law_fit import thin_units
from analysis.degradation.law_mixture import fit_laws, fit_power_law
from analysis.degradation.random_walk import fit_random_walk
from analysis.degradation.readout_paths import ReadoutPaths
from analysis.degradation.spline_network import fit_spline_network

METHODS: Mapping[str, Method] = {
    "last-value": fit_random_walk,
    "mixed-power-law": fit_power_law,
    "physics-laws": fit_laws,
    "gaussian-process": fit_gaussian_process,
    "latent-ode": fit_latent_ode,
    "spline-network": fit_spline_network,
}
"""Every method by name, the baselines first."""

CHALLENGERS = ("latent-ode", "spline-network")
"""Methods that are used only where they beat all others on held-out readouts."""

FAIR = 1.5
"""A baseline bounds what the selected method says where its error is at most so many times as large."""


@dataclass(frozen=True)
class Choice:
    """The method that is used, fitted to everything, and what it was chosen by.

    Attributes:
        trial: how each method did on the last third of the readouts.
        fitted: the selected method first, then those that could be fitted as well, to all readouts.
        stretches: of the bands of each of ``fitted``, from the trial.
    """

    trial: Trial
    fitted: tuple[Forecaster, ...]
    stretches: tuple[float, ...]

    @property
    def judgement(self) -> Judgement:
        """How the selected method did in the trial."""
        return self.trial.judgements[self.fitted[0].name]


def choose_method(paths: ReadoutPaths, names: Sequence[str] = tuple(METHODS), level: float = 0.9) -> Choice:
    """Return the method among ``names`` that forecasts later readouts of ``paths`` best, fitted to all of them.

    Of more than :data:`analysis.degradation.law_fit.MOST_UNITS_FITTED` units so many, evenly chosen, are tried and
    fitted; forecasts may be asked for all. ``level`` is of the bands. Challengers that lost are not fitted again;
    baselines that were nearly as good are, since they bound what the winner says.

    Raises:
        NotFitted: no method can be fitted.
        BadReadouts: there is nothing later to judge a forecast by.
    """
    paths = thin_units(paths)
    trial = try_methods(paths, {name: METHODS[name] for name in names}, CHALLENGERS, level)
    if trial.selected is None:
        reasons = "; ".join(f"{each.method}: {each.reason}" for each in trial.judgements.values())
        raise NotFitted("any method", reasons)
    others = [name for name in names if name not in CHALLENGERS and name != trial.selected]
    fitted: list[Forecaster] = [METHODS[trial.selected](paths)]
    bar = FAIR * (trial.judgements[trial.selected].error or 0.0)
    for name in others:
        error = trial.judgements[name].error
        if error is None or error > bar:
            continue
        try:
            fitted.append(METHODS[name](paths))
        except DegradationError:
            continue
    stretches = tuple(trial.judgements[each.name].stretch for each in fitted)
    return Choice(trial, tuple(fitted), stretches)
