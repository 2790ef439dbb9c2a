"""The table of constants that stands until a laboratory gives its own.

``quoted`` rows were read in the source that they name, ``derived`` rows follow from quoted ones by the arithmetic that
is given, and ``unverified`` rows are orders of magnitude without a source: they carry a wide spread on purpose.
Where a source states no spread, the spread is an unverified default and the row says so.
"""

import math

from analysis.repair.constants import Constant, ConstantTable, Kind, Label

LE_HARZIC = "Le Harzic et al., Applied Physics Letters 2002: 100 nm aluminium film, grain size by TEM"
HYBRID = "hybrid laser/FIB preparation, Journal of the KSPE: silicon, 1030 nm, 350 fs, Raman"
MANNION = "Mannion et al.: metals in air, 775 nm, 150 fs, 100 Hz; the spread is not stated there"
MSEC = "ASME MSEC2013: femtosecond ablation of silicon; regimes meet at 2 J/cm2, efficiency peaks near 8 J/cm2"
SIKORA = "Sikora, Grojo and Sentis: silicon, 50 ps, 0.01 to 0.83 J/cm2 from 343 to 1030 nm"
NS_SILICON = "thresholds of silicon, near infrared: 5.63 J/cm2 at 26 ns to 24.84 J/cm2 at 500 ns (ouci.dntb.gov.ua)"
INP = "Borowiec et al. 2004: resolidified layer in InP grooves, 130 fs and 8 ns, at most about 0.5 um"
GLOBALSINO = "globalsino page 2454: Ga, 30 kV, normal incidence; the spread is not stated there"
BONSE = (
    "Bonse et al., Applied Physics A, femtosecond laser ablation of silicon: on the order of 0.2 J/cm2 from 5 to "
    "400 fs (Ti:sapphire) with one and with many pulses, taken as of one pulse; the spread is not stated there"
)
HOLDER = (
    "about 230 mm3/min of silicon at about 1 kW and 0.7 J/cm2 with sub-ps pulses (Holder et al., University of "
    "Stuttgart, high-quality high-throughput laser milling of silicon)"
)
NOBODY = "no source: an order of magnitude, to be replaced by the laboratory's own"
FORM = "form of the law: saturating incubation, Optics Express 22, 12200 (2014); the number has no source"

_METALS = {"steel": 0.160, "niobium": 0.146, "titanium": 0.1021, "copper": 0.3529}
_RATES = {
    "silicon": 0.15,
    "silicon-dioxide": 0.19,
    "silicon-nitride": 0.21,
    "chromium": 0.28,
    "aluminium": 0.37,
    "gold": 1.8,
}
_DENSITIES = {
    "silicon": 2.33,
    "silicon-dioxide": 2.20,
    "silicon-nitride": 3.2,
    "chromium": 7.19,
    "aluminium": 2.70,
    "gold": 19.3,
}
_SILICON_FLOOR = 0.5
_UNITS = {
    "_j_cm2": "J/cm2",
    "_um3_nc": "um3/nC",
    "_g_cm3": "g/cm3",
    "_nm": "nm",
    "_um": "um",
    "_deg": "deg",
    "_s": "s",
    "_kv": "kV",
}


def default_table() -> ConstantTable:
    """Return a new table of the defaults."""
    return ConstantTable([*_silicon(), *_metals(), *_walls(), *_milling(), *_handling()])


def unit_of(key: str) -> str:
    """Return the unit that the end of ``key`` names, ``""`` for a plain number."""
    return next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")


def _row(key: str, value: float, spread: tuple[float, Kind], label: Label, source: str) -> Constant:
    return Constant(key, value, unit_of(key), spread[0], spread[1], label, source)


def _exact(key: str, value: float, label: Label, source: str) -> Constant:
    return _row(key, value, (0.0, "exact"), label, source)


def _law(name: str, limits: tuple[float, ...], source: str, label: Label) -> list[Constant]:
    """Return where a law holds: wavelengths (nm), pulse widths (s), most fluence (J/cm2), most depth (um)."""
    keys = ("wavelength_min_nm", "wavelength_max_nm", "pulse_min_s", "pulse_max_s", "fluence_max_j_cm2", "depth_max_um")
    return [
        _exact(f"laser.{name}.{key}", value, label, source)
        if key != "depth_max_um"
        else _exact(f"laser.{name}.{key}", value, "unverified", NOBODY)
        for key, value in zip(keys, limits, strict=True)
    ]


def _behaviour(name: str, incubation: float, floor: float, scatter: float) -> list[Constant]:
    """Return how the threshold falls with the pulses, and how the depths of like runs scatter."""
    return [
        _row(f"laser.{name}.incubation", incubation, (0.04, "normal"), "unverified", FORM),
        _row(f"laser.{name}.threshold_floor_ratio", floor, (0.08, "normal"), "unverified", FORM),
        _exact(f"laser.{name}.run_scatter", scatter, "unverified", NOBODY),
    ]


def _silicon() -> list[Constant]:
    strong, gentle = 8.0 / math.e**2, 0.2
    shallow, doubt = _penetration_of_milling(230e9 / 60 / 1e3, 0.7, (gentle, _SILICON_FLOOR * gentle))
    heat = shallow * math.log(2.0 / gentle) / math.log(2.0 / strong)
    ultrashort, picosecond, nanosecond = "silicon.ultrashort", "silicon.picosecond", "silicon.nanosecond"
    peak = "8 J/cm2 over e squared, the optimum of a Gaussian spot; " + MSEC
    milled = f"by the law of a Gaussian spot, between no and full incubation, which is the spread; {HOLDER}"
    meet = "from the gentle penetration, so that the regimes meet at 2 J/cm2; " + MSEC
    return [
        *_law(ultrashort, (515.0, 1064.0, 1e-13, 1e-12, 8.0, 200.0), MSEC + "; ranges are unverified", "unverified"),
        _row(f"laser.{ultrashort}.threshold_j_cm2", gentle, (0.3, "lognormal"), "quoted", BONSE),
        _row(f"laser.{ultrashort}.penetration_nm", shallow, (doubt, "lognormal"), "derived", milled),
        _row(f"laser.{ultrashort}.strong_threshold_j_cm2", strong, (0.0, "exact"), "derived", peak),
        _row(f"laser.{ultrashort}.strong_penetration_nm", heat, (0.0, "exact"), "derived", meet),
        *_behaviour(ultrashort, 0.85, _SILICON_FLOOR, 0.1),
        _row(f"laser.{ultrashort}.haz_um", 2.0, (0.0, "upper-bound"), "quoted", HYBRID),
        *_law(picosecond, (343.0, 1030.0, 2e-11, 1e-10, 6.0, 200.0), SIKORA + "; widths about 50 ps", "unverified"),
        _row(f"laser.{picosecond}.threshold_j_cm2", 0.83, (0.3, "lognormal"), "quoted", SIKORA + ", at 1030 nm"),
        _exact(f"laser.{picosecond}.threshold_at_nm", 1030.0, "quoted", SIKORA),
        _exact(f"laser.{picosecond}.wavelength_exponent", _slope(0.83 / 0.01, 1030 / 343), "derived", SIKORA),
        _row(f"laser.{picosecond}.penetration_nm", 60.0, (0.5, "lognormal"), "unverified", NOBODY),
        *_behaviour(picosecond, 0.85, 0.5, 0.15),
        *_law(nanosecond, (1030.0, 1080.0, 2.6e-8, 5e-7, 60.0, 200.0), NS_SILICON, "quoted"),
        _row(f"laser.{nanosecond}.threshold_j_cm2", 5.63, (0.2, "lognormal"), "quoted", NS_SILICON + ", at 26 ns"),
        _exact(f"laser.{nanosecond}.threshold_at_s", 2.6e-8, "quoted", NS_SILICON),
        _exact(f"laser.{nanosecond}.pulse_exponent", _slope(24.84 / 5.63, 500 / 26), "derived", NS_SILICON),
        _row(f"laser.{nanosecond}.penetration_nm", 600.0, (0.6, "lognormal"), "unverified", NOBODY),
        *_behaviour(nanosecond, 0.95, 0.8, 0.2),
    ]


def _penetration_of_milling(rate_um3_j: float, fluence: float, thresholds: tuple[float, float]) -> tuple[float, float]:
    """Return the penetration (nm) that a milling rate means, and half the logarithm of the two thresholds' ratio.

    A pulse of a Gaussian spot with the peak ``fluence`` F (J/cm2) removes ``d / (2 F) ln(F / threshold)^2`` of volume
    for its energy. Between the ``thresholds`` before and after incubation the geometric mean is taken.
    """
    # A um3 is 1e-12 cm3, and 1e7 nm are a centimetre.
    depths = [rate_um3_j * 1e-12 * 2 * fluence / math.log(fluence / threshold) ** 2 * 1e7 for threshold in thresholds]
    return math.sqrt(depths[0] * depths[1]), abs(math.log(depths[0] / depths[1])) / 2


def _slope(ratio: float, of: float) -> float:
    """Return the exponent of the power law through two points."""
    return math.log(ratio) / math.log(of)


def _metals() -> list[Constant]:
    rows = []
    for metal, threshold in _METALS.items():
        name = f"{metal}.ultrashort"
        rows += [
            *_law(name, (750.0, 800.0, 1e-13, 2e-13, 10.0, 50.0), MANNION, "quoted"),
            _row(f"laser.{name}.threshold_j_cm2", threshold, (0.15, "lognormal"), "quoted", MANNION),
            _row(f"laser.{name}.penetration_nm", 15.0, (0.5, "lognormal"), "unverified", NOBODY),
            *_behaviour(name, 0.85, 0.5, 0.15),
        ]
    return rows


def _walls() -> list[Constant]:
    boundary, own = "boundary of the regimes: no source", "the spread is unverified"
    return [
        _row("haz.ultrashort_um", 2.0, (0.0, "upper-bound"), "quoted", LE_HARZIC + ": below 2 um, at 2 J/cm2"),
        _row("haz.nanosecond_um", 40.0, (0.0, "upper-bound"), "quoted", LE_HARZIC + ": 40 um, at 5 J/cm2"),
        _exact("haz.ultrashort_until_s", 1e-12, "unverified", boundary),
        _exact("haz.nanosecond_from_s", 1e-9, "unverified", boundary),
        _row("taper.controlled_deg", 2.5, (0.5, "normal"), "quoted", HYBRID + ", angle controlled; " + own),
        _row("taper.uncontrolled_deg", 28.0, (2.0, "normal"), "quoted", HYBRID + ", angle not controlled; " + own),
        _row("recast_um", 0.5, (0.0, "upper-bound"), "quoted", INP),
        _exact("floor_roughness_um", 1.0, "unverified", "deepest place of the floor below its mean: no source"),
    ]


def _milling() -> list[Constant]:
    rates = [
        _row(f"fib.{material}.rate_um3_nc", rate, (0.1, "lognormal"), "quoted", GLOBALSINO)
        for material, rate in _RATES.items()
    ]
    densities = [
        _row(f"density.{material}_g_cm3", density, (0.02, "lognormal"), "unverified", "general knowledge")
        for material, density in _DENSITIES.items()
    ]
    return [*rates, _exact("fib.beam_kv", 30.0, "quoted", GLOBALSINO), *densities]


def _handling() -> list[Constant]:
    return [
        _exact("alignment_sigma_um", 1.0, "unverified", "laser to FIB, one standard deviation: no source"),
        _exact("transfer_s", 900.0, "unverified", "from the laser to the FIB and aligned there: no source"),
        _exact("laser_overhead_ratio", 1.3, "unverified", "time of a pass over its pulses' time: no source"),
        _exact("fluence_log_sigma", 0.05, "unverified", "of the fluence that is set: no source"),
        _exact(
            "outlying_run_ratio", 0.05, "unverified", "part of the runs that go wrong, as learning takes it: no source"
        ),
        _exact(
            "outlying_run_scale", 5.0, "unverified", "their scatter over the others', as learning takes it: no source"
        ),
    ]
