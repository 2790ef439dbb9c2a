"""What the scales in a TDMS channel's properties make of its raw values (``NI_Scale[0]_Scale_Type`` and so on).

The last scale counts; each names the scale, or the raw data, that it takes. One linear scale is kept as gain and
offset of the native values. Everything else is computed by npTDMS in float64. npTDMS hands out raw values as if they
were scaled when it does not know a type (#91), so the types are checked here first.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, UnsupportedVersion, cut_value

RAW_DATA = 0xFFFFFFFF
SCALE_TYPE = re.compile(r"NI_Scale\[(\d+)\]_Scale_Type")
SOURCES: dict[str, tuple[str, ...]] = {
    "Linear": ("Linear_Input_Source",),
    "Polynomial": ("Polynomial_Input_Source",),
    "RTD": ("RTD_Input_Source",),
    "Strain": ("Strain_Input_Source",),
    "Table": ("Table_Input_Source",),
    "Thermistor": ("Thermistor_Input_Source",),
    "Thermocouple": ("Thermocouple_Input_Source",),
    "Add": ("Add_Left_Operand_Input_Source", "Add_Right_Operand_Input_Source"),
    "Subtract": ("Subtract_Left_Operand_Input_Source", "Subtract_Right_Operand_Input_Source"),
}
MAXIMUM_SCALES = 1000
Properties = Mapping[str, Any]
Scale = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True)
class Scaling:
    """``value = gain * raw + offset``, or ``compute(raw)`` where that is given; ``types`` are the scales passed."""

    gain: float = 1.0
    offset: float = 0.0
    compute: Scale | None = None
    types: tuple[str, ...] = ()


def find_scaling(levels: tuple[Properties, Properties, Properties], scale_id: int | None, name: str) -> Scaling:
    """Return the scaling of a channel.

    Args:
        levels: the properties of the channel, its group and the file; the first with scales counts.
        scale_id: the scale that stands for the channel's DAQmx data; ``None`` for other data.
        name: the channel's, for messages.

    Raises:
        UnsupportedVersion: a scale whose type is not known.
        CorruptField: a scale lacks something, or takes one that comes after it.
    """
    properties = next((level for level in levels if _number_of_scales(level, name)), None)
    if properties is None:
        return Scaling()
    if properties.get("NI_Scaling_Status") == "scaled":
        return Scaling(types=("scaled before it was written",))
    last = _number_of_scales(properties, name) - 1
    types: dict[int, str] = {}
    _follow(properties, last, (scale_id, name), types)
    kinds = tuple(types[index] for index in sorted(types))
    taken = [kind for kind in kinds if kind != "DAQmx"]
    if not taken:
        return Scaling()
    if taken == ["Linear"]:
        gain = _number(properties, f"NI_Scale[{last}]_Linear_Slope", name)
        offset = _number(properties, f"NI_Scale[{last}]_Linear_Y_Intercept", name)
        if gain == 0:
            raise CorruptField(f"the linear scale of channel {name} has the slope 0")
        return Scaling(gain, offset, types=kinds)
    return Scaling(compute=_nptdms_scale(properties, scale_id, name), types=kinds)


def _number_of_scales(properties: Properties, name: str) -> int:
    given = properties.get("NI_Number_Of_Scales")
    if given is None:
        found = [int(match[1]) for key in properties if (match := SCALE_TYPE.fullmatch(key))]
        given = max(found) + 1 if found else 0
    if not isinstance(given, int | np.integer) or not 0 <= given <= MAXIMUM_SCALES:
        raise CorruptField(f"the number of scales of channel {name} is not right", found=str(given)[:40])
    return int(given)


def _follow(properties: Properties, index: int, about: tuple[int | None, str], types: dict[int, str]) -> None:
    """Put the types of scale ``index`` and of all that it takes into ``types``."""
    scale_id, name = about
    if index in types:
        return
    kind = properties.get(f"NI_Scale[{index}]_Scale_Type")
    if kind is None and index == scale_id:
        types[index] = "DAQmx"
        return
    if kind is None:
        raise CorruptField(f"scale {index} of channel {name} has no type")
    if kind not in SOURCES:
        raise UnsupportedVersion(f"the type of scale {index} of channel {name} is not known", found=str(kind)[:40])
    types[index] = kind
    for ending in SOURCES[kind]:
        source = properties.get(f"NI_Scale[{index}]_{ending}", RAW_DATA)
        if source == RAW_DATA and scale_id is None:
            continue
        if not isinstance(source, int | np.integer) or not 0 <= source < index:
            message = f"scale {index} of channel {name} takes one that does not come before it"
            raise CorruptField(message, expected=f"< {index}", found=str(source)[:40])
        _follow(properties, int(source), about, types)


def _number(properties: Properties, key: str, name: str) -> float:
    value = properties.get(key)
    if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not math.isfinite(value):
        raise CorruptField(f"{key} of channel {name} is no number", found=cut_value(value, 40))
    return float(value)


def _nptdms_scale(properties: Properties, scale_id: int | None, name: str) -> Scale:
    from nptdms.base_segment import RawChannelDataChunk  # noqa: PLC0415
    from nptdms.scaling import get_scaling  # noqa: PLC0415

    try:
        scaling = get_scaling(properties, {}, {})
    except Exception as error:
        raise CorruptField(f"npTDMS refuses the scales of channel {name}: {error!r}") from error

    def compute(raw: NDArray[Any]) -> NDArray[np.float64]:
        pieces = (raw, None) if scale_id is None else (None, {scale_id: raw})
        try:
            values = scaling.scale(RawChannelDataChunk(*pieces))
        except Exception as error:
            raise CorruptField(f"npTDMS cannot scale channel {name}: {error!r}") from error
        return np.asarray(values, np.float64)

    return compute
