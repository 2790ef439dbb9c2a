"""Laws of failure mechanisms in the words of a form: titles, coefficients and conditions with units and defaults.

The names are those of :mod:`analysis.reliability.mechanism_laws`, which the console does not import; a test compares
both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.pipelines.reliability.report_requests import LawName

TOLD_BY_TABLES = frozenset({"temperature_c", "voltage_v", "humidity_percent"})
"""Conditions of stress that tables of lifetimes have columns for."""
OF_THE_REPORT = "temperature_c"
"""The condition of use that is asked for once for all mechanisms."""


@dataclass(frozen=True)
class Quantity:
    """A number that is asked for: what it is, its unit (empty for none), its default, whether it must be above 0."""

    label: str
    unit: str = ""
    default: float | None = None
    above_zero: bool = False

    @property
    def text(self) -> str:
        """The label with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True)
class LawTerms:
    """A law: its title, how the median life depends on its conditions, what is asked for by name."""

    title: str
    formula: str
    coefficients: Mapping[str, Quantity]
    conditions: Mapping[str, Quantity]


def _energy(default: float | None) -> dict[str, Quantity]:
    return {"ea_ev": Quantity("Activation energy Ea", "eV", default)}


def _exponent(default: float | None, letter: str = "n") -> dict[str, Quantity]:
    return {letter: Quantity(f"Exponent {letter}", "", default)}


_JUNCTION = {OF_THE_REPORT: Quantity("Junction temperature", "°C")}
_VOLTAGE = Quantity("Voltage", "V")
_POSITIVE_VOLTAGE = Quantity("Voltage", "V", above_zero=True)
_SWING = {"temperature_swing_k": Quantity("Temperature swing", "K", above_zero=True)}
_FIELD = {"field_mv_per_cm": Quantity("Oxide field", "MV/cm", above_zero=True)}
_SLOPE = {"gamma_per_v": Quantity("Voltage slope g", "1/V")}

LAWS: Mapping[LawName, LawTerms] = {
    "arrhenius": LawTerms("Arrhenius", "A exp(Ea/kT)", _energy(0.7), _JUNCTION),
    "eyring": LawTerms("Eyring", "A T^m exp(Ea/kT)", {**_energy(0.7), **_exponent(-1.0, "m")}, _JUNCTION),
    "inverse-power": LawTerms(
        "Inverse power",
        "A S^-n",
        _exponent(None),
        {"stress": Quantity("Stress S, in one unit for use and stress", "", above_zero=True)},
    ),
    "temperature-voltage": LawTerms(
        "Temperature and voltage",
        "A exp(Ea/kT - g V)",
        {**_energy(0.7), **_SLOPE},
        {**_JUNCTION, "voltage_v": _VOLTAGE},
    ),
    "peck": LawTerms(
        "Peck, humidity",
        "A RH^-n exp(Ea/kT)",
        {**_energy(0.79), **_exponent(2.7)},
        {**_JUNCTION, "humidity_percent": Quantity("Relative humidity", "%", above_zero=True)},
    ),
    "coffin-manson": LawTerms("Coffin-Manson, cycles of temperature", "A dT^-q cycles", _exponent(None, "q"), _SWING),
    "norris-landzberg": LawTerms(
        "Norris-Landzberg, solder in cycles of temperature",
        "A dT^-q f^m exp(Ea/kTmax) cycles",
        {**_exponent(1.9, "q"), **_exponent(1 / 3, "m"), **_energy(0.122)},
        {
            **_SWING,
            "cycles_per_day": Quantity("Cycles f", "1/day", above_zero=True),
            "temperature_max_c": Quantity("Highest temperature Tmax", "°C"),
        },
    ),
    "electromigration": LawTerms(
        "Electromigration, Black",
        "A J^-n exp(Ea/kT)",
        {**_energy(0.9), **_exponent(2.0)},
        {**_JUNCTION, "current_density_a_per_cm2": Quantity("Current density J", "A/cm²", above_zero=True)},
    ),
    "tddb-e": LawTerms(
        "Oxide breakdown, E model",
        "A exp(-g E) exp(Ea/kT)",
        {**_energy(0.75), "gamma_cm_per_mv": Quantity("Field slope g", "cm/MV", 3.0)},
        {**_JUNCTION, **_FIELD},
    ),
    "tddb-inverse-e": LawTerms(
        "Oxide breakdown, 1/E model",
        "A exp(G/E) exp(Ea/kT)",
        {**_energy(0.3), "g_mv_per_cm": Quantity("Field constant G", "MV/cm", 350.0)},
        {**_JUNCTION, **_FIELD},
    ),
    "tddb-power": LawTerms(
        "Oxide breakdown, power of the voltage",
        "A V^-n exp(Ea/kT)",
        {**_energy(0.6), **_exponent(44.0)},
        {**_JUNCTION, "voltage_v": _POSITIVE_VOLTAGE},
    ),
    "hot-carrier": LawTerms(
        "Hot carriers",
        "A (Isub/W)^-n exp(Ea/kT)",
        {**_energy(-0.15), **_exponent(3.0)},
        {**_JUNCTION, "substrate_current_ua_per_um": Quantity("Substrate current by width", "µA/µm", above_zero=True)},
    ),
    "bias-temperature": LawTerms(
        "Bias temperature instability",
        "(A exp(g V) exp(-Ea/kT))^(-1/n)",
        {**_energy(0.15), **_exponent(0.2), **_SLOPE},
        {**_JUNCTION, "voltage_v": _VOLTAGE},
    ),
    "mobile-ions": LawTerms(
        "Mobile ions",
        "A exp(Ea/kT) / V",
        {**_energy(1.0), **_exponent(1.0)},
        {**_JUNCTION, "voltage_v": _POSITIVE_VOLTAGE},
    ),
    "stress-migration": LawTerms(
        "Stress migration",
        "A (T0 - T)^-n exp(Ea/kT)",
        {**_energy(0.75), **_exponent(3.0), "stress_free_c": Quantity("Free of stress at T0", "°C", 270.0)},
        _JUNCTION,
    ),
}
"""Every law that a mechanism of a report can have."""
