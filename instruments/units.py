"""Units of measure by their symbols, exactly as powers of ten where they are; an unknown unit is an error."""

from dataclasses import dataclass

from instruments.errors import UnsupportedVersion


@dataclass(frozen=True)
class Unit:
    """``factor * 10**exponent`` of the unit that the dimension is measured in."""

    symbol: str
    dimension: str
    exponent: int
    factor: float = 1.0


_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_BASES = {
    "m": ("length", "pnum k", 0),
    "s": ("time", "fpnum ", 0),
    "J": ("energy", "fpnum k", 0),
    "V": ("voltage", "um kM", 0),
    "A": ("current", "fpnum ", 0),
    "Hz": ("frequency", "m kMG", 0),
    "W": ("power", "pnum kM", 0),
    "Pa": ("pressure", "um k", 0),
    "K": ("temperature", "m ", 0),
    "rad": ("angle", "um ", 0),
}
_OTHERS = (
    Unit("cm", "length", -2),
    Unit("angstrom", "length", -10),
    Unit("inch", "length", -4, 254.0),
    Unit("min", "time", 0, 60.0),
    Unit("h", "time", 0, 3600.0),
    Unit("deg", "angle", 0, 0.017453292519943295),
    Unit("J/m2", "fluence", 0),
    Unit("J/cm2", "fluence", 4),
    Unit("mJ/cm2", "fluence", 1),
    Unit("uJ/cm2", "fluence", -2),
    Unit("C/m2", "dose", 0),
    Unit("C/cm2", "dose", 4),
    Unit("mC/cm2", "dose", 1),
    Unit("uC/cm2", "dose", -2),
    Unit("nC/um2", "dose", 3),
    Unit("pC/um2", "dose", 0),
    Unit("m2", "area", 0),
    Unit("um2", "area", -12),
    Unit("nm2", "area", -18),
    Unit("mbar", "pressure", 2),
    Unit("bar", "pressure", 5),
    Unit("Torr", "pressure", 0, 133.32236842105263),
    Unit("ppm", "ratio", -6),
    Unit("%", "ratio", -2),
    Unit("1", "ratio", 0),
)
_PREFIX_WORDS = {
    "femto": "f",
    "pico": "p",
    "nano": "n",
    "micro": "u",
    "milli": "m",
    "kilo": "k",
    "mega": "M",
    "giga": "G",
}
_BASE_WORDS = {
    "meter": "m",
    "metre": "m",
    "second": "s",
    "joule": "J",
    "volt": "V",
    "ampere": "A",
    "amp": "A",
    "hertz": "Hz",
    "watt": "W",
    "pascal": "Pa",
}
_SPELLINGS = {
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "å": "angstrom",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "micrometre": "um",
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
    "second": "s",
    "seconds": "s",
    "sec": "s",
    "secs": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "volt": "V",
    "ampere": "A",
    "joule": "J",
    "watt": "W",
    "hertz": "Hz",
    "kelvin": "K",
    "radian": "rad",
    "radians": "rad",
    "percent": "%",
}


def _make_units() -> dict[str, Unit]:
    made = {unit.symbol: unit for unit in _OTHERS}
    for base, (dimension, prefixes, zero) in _BASES.items():
        for prefix in prefixes.replace(" ", "") + " ":
            symbol = prefix.strip() + base
            made[symbol] = Unit(symbol, dimension, _PREFIXES[prefix.strip()] + zero)
    return made


_UNITS = _make_units()


def _words() -> dict[str, str]:
    """Return the units that are spelled out, in singular and plural, to their symbols: ``nanometers``, ``kilovolt``."""
    made = {}
    for word, base in _BASE_WORDS.items():
        for before, prefix in (("", ""), *_PREFIX_WORDS.items()):
            if prefix + base in _UNITS:
                made[before + word] = made[f"{before}{word}s"] = prefix + base
    return made


_WORDS = _words()


def _lower_case() -> dict[str, Unit]:
    """Return the units whose symbol in lower case is no other unit's: ``kv`` is clear, ``mhz`` is not."""
    found: dict[str, list[Unit]] = {}
    for symbol, unit in _UNITS.items():
        found.setdefault(symbol.lower().replace("/", "_"), []).append(unit)
    return {symbol: units[0] for symbol, units in found.items() if len(units) == 1 and symbol not in ("%", "1")}


NAME_ENDINGS = _lower_case()
"""Units as they end names, ``energy_uj``, ``fluence_j_cm2``: in lower case, where that is unambiguous."""


def find_unit(text: str) -> Unit | None:
    """Return the unit that ``text`` writes, or ``None`` when it is not known."""
    plain = text.strip().replace("µ", "u").replace("μ", "u").replace("²", "2").replace("^2", "2").replace(" ", "")
    if plain in _UNITS:
        return _UNITS[plain]
    spelled = _SPELLINGS.get(plain.lower()) or _WORDS.get(plain.lower())
    if spelled is not None:
        return _UNITS[spelled]
    return NAME_ENDINGS.get(plain.lower().replace("/", "_"))


def unit_of(text: str, what: str, file: str = "") -> Unit:
    """Return the unit that ``text`` writes; raises UnsupportedVersion, naming ``what`` it is of, when it is unknown."""
    unit = find_unit(text)
    if unit is None:
        raise UnsupportedVersion(
            f"the unit of {what} is not known", file=file, expected="a known unit", found=text[:40]
        )
    return unit


def convert(value: float, source: Unit, target: Unit) -> float:
    """Return ``value`` in ``source`` as a number of ``target``; both are of one dimension."""
    shift = source.exponent - target.exponent
    power = float(10 ** abs(shift))
    scaled = value * power if shift >= 0 else value / power
    return scaled if source.factor == target.factor else scaled * (source.factor / target.factor)
