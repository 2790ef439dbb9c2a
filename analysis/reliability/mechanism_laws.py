"""Laws of wear-out and defect mechanisms in physical units, with default coefficients and where they are from.

Each mechanism's median life is ``A * exp(log_life(stress))``. Defaults marked ``[recalled]`` are from memory of JEP122
and textbooks: replace them by measured ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.reliability.acceleration import Constants
from analysis.reliability.errors import LifeDataError

Values = Mapping[str, float]


@dataclass(frozen=True)
class Coefficient:
    """A number of a mechanism's law.

    Attributes:
        unit: of it; empty for none.
        default: value used when none is given; ``None`` where there is no sensible one.
        source: where the default is from.
    """

    unit: str
    default: float | None
    source: str


@dataclass(frozen=True)
class Mechanism:
    """A mechanism of failure.

    Attributes:
        name: how it is called.
        formula: of the median life.
        source: of the formula.
        coefficients, conditions: by name; conditions with their units.
        log_life: log of life up to a constant, from coefficients, conditions and conventions.
        remark: what to mind.
    """

    name: str
    formula: str
    source: str
    coefficients: Mapping[str, Coefficient]
    conditions: Mapping[str, str]
    log_life: Callable[[Values, Values, Constants], float]
    remark: str = ""


def _thermal(coefficients: Values, conditions: Values, constants: Constants) -> float:
    kelvin = constants.kelvin(conditions["temperature_c"])
    return coefficients["ea_ev"] / (constants.boltzmann_ev_per_k * kelvin)


def _positive(conditions: Values, name: str) -> float:
    value = conditions[name]
    if not (value > 0 and np.isfinite(value)):
        raise LifeDataError(f"{name} must be above 0, not {value:g}")
    return value


def _power(name: str, exponent: str = "n") -> Callable[[Values, Values, Constants], float]:
    def log_life(coefficients: Values, conditions: Values, constants: Constants) -> float:
        power = coefficients[exponent] * float(np.log(_positive(conditions, name)))
        return _thermal(coefficients, conditions, constants) - power

    return log_life


def _power_only(name: str, exponent: str) -> Callable[[Values, Values, Constants], float]:
    def log_life(coefficients: Values, conditions: Values, _: Constants) -> float:
        return float(-coefficients[exponent] * np.log(_positive(conditions, name)))

    return log_life


def _eyring(coefficients: Values, conditions: Values, constants: Constants) -> float:
    kelvin = constants.kelvin(conditions["temperature_c"])
    return _thermal(coefficients, conditions, constants) + coefficients["m"] * float(np.log(kelvin))


def _tddb_e(coefficients: Values, conditions: Values, constants: Constants) -> float:
    field_mv_per_cm = _positive(conditions, "field_mv_per_cm")
    return _thermal(coefficients, conditions, constants) - coefficients["gamma_cm_per_mv"] * field_mv_per_cm


def _tddb_inverse_e(coefficients: Values, conditions: Values, constants: Constants) -> float:
    field_mv_per_cm = _positive(conditions, "field_mv_per_cm")
    return _thermal(coefficients, conditions, constants) + coefficients["g_mv_per_cm"] / field_mv_per_cm


def _voltage(coefficients: Values, conditions: Values, constants: Constants) -> float:
    return _thermal(coefficients, conditions, constants) - coefficients["gamma_per_v"] * conditions["voltage_v"]


def _bti(coefficients: Values, conditions: Values, constants: Constants) -> float:
    """Time until the shift A exp(g V) t^n exp(-Ea/kT) reaches a fixed one."""
    shift = coefficients["gamma_per_v"] * conditions["voltage_v"] - _thermal(coefficients, conditions, constants)
    return float(-shift / coefficients["n"])


def _stress_migration(coefficients: Values, conditions: Values, constants: Constants) -> float:
    below = coefficients["stress_free_c"] - conditions["temperature_c"]
    if not below > 0:
        raise LifeDataError(
            f"at {conditions['temperature_c']:g} C there is no tensile stress: the film is free of stress at "
            f"{coefficients['stress_free_c']:g} C, and stress migration does not act above"
        )
    return _thermal(coefficients, conditions, constants) - coefficients["n"] * float(np.log(below))


def _norris_landzberg(coefficients: Values, conditions: Values, constants: Constants) -> float:
    swing, often = _positive(conditions, "temperature_swing_k"), _positive(conditions, "cycles_per_day")
    kelvin = constants.kelvin(conditions["temperature_max_c"])
    thermal = coefficients["ea_ev"] / (constants.boltzmann_ev_per_k * kelvin)
    return thermal - coefficients["q"] * float(np.log(swing)) + coefficients["m"] * float(np.log(often))


_RECALLED = "JEP122 [recalled]"
_T = {"temperature_c": "C, junction"}


def _ea(default: float | None, source: str = _RECALLED) -> dict[str, Coefficient]:
    return {"ea_ev": Coefficient("eV", default, source)}


MECHANISMS: dict[str, Mechanism] = {
    each.name: each
    for each in (
        Mechanism("arrhenius", "A exp(Ea/kT)", "JESD91/JEP122 [recalled]", _ea(0.7), _T, _thermal),
        Mechanism(
            "eyring",
            "A T^m exp(Ea/kT)",
            "NIST/SEMATECH e-Handbook 8.1.5.2",
            {**_ea(0.7), "m": Coefficient("", -1.0, "ReliaSoft's Eyring form")},
            _T,
            _eyring,
        ),
        Mechanism(
            "inverse-power",
            "A S^-n",
            "NIST/SEMATECH e-Handbook 8.1.5.2",
            {"n": Coefficient("", None, "")},
            {"stress": "any unit above 0"},
            _power_only("stress", "n"),
        ),
        Mechanism(
            "temperature-voltage",
            "A exp(Ea/kT - g V)",
            _RECALLED,
            {**_ea(0.7), "gamma_per_v": Coefficient("1/V", None, "")},
            {**_T, "voltage_v": "V"},
            _voltage,
        ),
        Mechanism(
            "peck",
            "A RH^-n exp(Ea/kT)",
            "Peck, IRPS 1986; defaults JEP122 [recalled]",
            {**_ea(0.79), "n": Coefficient("", 2.7, _RECALLED)},
            {**_T, "humidity_percent": "% relative"},
            _power("humidity_percent"),
            "Humidity of the die's surroundings: self-heating lowers it.",
        ),
        Mechanism(
            "coffin-manson",
            "A dT^-q cycles",
            _RECALLED,
            {"q": Coefficient("", None, "1-3 ductile, 3-5 intermetallic, 6-9 brittle (JEP122 [recalled])")},
            {"temperature_swing_k": "K"},
            _power_only("temperature_swing_k", "q"),
        ),
        Mechanism(
            "norris-landzberg",
            "A dT^-q f^m exp(Ea/kTmax) cycles",
            "Norris & Landzberg, IBM J. Res. Dev. 13, 1969",
            {
                "q": Coefficient("", 1.9, "Norris & Landzberg 1969 [recalled], SnPb solder"),
                "m": Coefficient("", 1 / 3, "Norris & Landzberg 1969 [recalled], SnPb solder"),
                "ea_ev": Coefficient("eV", 0.122, "1414 K, Norris & Landzberg 1969 [recalled]"),
            },
            {"temperature_swing_k": "K", "cycles_per_day": "1/day", "temperature_max_c": "C"},
            _norris_landzberg,
        ),
        Mechanism(
            "electromigration",
            "A J^-n exp(Ea/kT)",
            "Black, IEEE Trans. Electron Devices 16, 1969; JEP154 [recalled]",
            {
                **_ea(0.9, "Cu 0.85-0.95, Al-Cu 0.7-0.9, Al 0.5-0.6 (JEP122 [recalled])"),
                "n": Coefficient("", 2.0, "nucleation; 1 for growth (JEP122 [recalled])"),
            },
            {**_T, "current_density_a_per_cm2": "A/cm2"},
            _power("current_density_a_per_cm2"),
            "Temperature of the metal, with its Joule heat. A line below Blech's product does not fail this way.",
        ),
        Mechanism(
            "tddb-e",
            "A exp(-g E) exp(Ea/kT)",
            _RECALLED,
            {**_ea(0.75), "gamma_cm_per_mv": Coefficient("cm/MV", 3.0, "2.5-3.5, thick SiO2 (JEP122 [recalled])")},
            {**_T, "field_mv_per_cm": "MV/cm"},
            _tddb_e,
            "Extrapolates to the shortest life at low field of the three field models.",
        ),
        Mechanism(
            "tddb-inverse-e",
            "A exp(G/E) exp(Ea/kT)",
            "Chen, Holland & Hu, IEEE Trans. Electron Devices 32, 1985",
            {**_ea(0.3), "g_mv_per_cm": Coefficient("MV/cm", 350.0, _RECALLED)},
            {**_T, "field_mv_per_cm": "MV/cm"},
            _tddb_inverse_e,
            "Extrapolates to the longest life at low field of the three field models.",
        ),
        Mechanism(
            "tddb-power",
            "A V^-n exp(Ea/kT)",
            "Wu & Sune, Microelectron. Reliab. 45, 2005",
            {**_ea(0.6), "n": Coefficient("", 44.0, "40-48 below about 4 nm (JEP122 [recalled])")},
            {**_T, "voltage_v": "V, at the gate"},
            _power("voltage_v"),
            "For gate oxides below about 4 nm.",
        ),
        Mechanism(
            "hot-carrier",
            "A (Isub/W)^-n exp(Ea/kT)",
            _RECALLED,
            {**_ea(-0.15), "n": Coefficient("", 3.0, _RECALLED)},
            {**_T, "substrate_current_ua_per_um": "uA/um"},
            _power("substrate_current_ua_per_um"),
            "The activation energy is negative in older NMOS: cold is worse.",
        ),
        Mechanism(
            "bias-temperature",
            "(A exp(g V) exp(-Ea/kT))^(-1/n)",
            _RECALLED,
            {
                **_ea(0.15, "0.1-0.2 on the shift (JEP122 [recalled])"),
                "n": Coefficient("", 0.2, "0.16-0.25 (JEP122 [recalled])"),
                "gamma_per_v": Coefficient("1/V", None, ""),
            },
            {**_T, "voltage_v": "V, at the gate"},
            _bti,
            "The activation energy is that of the shift; on life it is Ea/n. Shifts recover: time-stamp the readout.",
        ),
        Mechanism(
            "mobile-ions",
            "A exp(Ea/kT) / V",
            _RECALLED,
            {**_ea(1.0, "Na 0.75-1.8, commonly 1.0 (JEP122 [recalled])"), "n": Coefficient("", 1.0, _RECALLED)},
            {**_T, "voltage_v": "V"},
            _power("voltage_v"),
            "A shift that recovers in an unbiased bake at 150-250 C is the sign of mobile ions.",
        ),
        Mechanism(
            "stress-migration",
            "A (T0 - T)^-n exp(Ea/kT)",
            "McPherson & Dunn, J. Vac. Sci. Technol. B 5, 1987",
            {
                **_ea(0.75, "0.5-1.0 (JEP122 [recalled])"),
                "n": Coefficient("", 3.0, "2-4 (JEP122 [recalled])"),
                "stress_free_c": Coefficient("C", 270.0, "typical deposition temperature [recalled]"),
            },
            _T,
            _stress_migration,
            "Not monotone in temperature: life is shortest at an inner one, and a hotter stress can be a weaker one.",
        ),
    )
}
"""All mechanisms by name."""
