"""``session.json``: the schema ``faultlight.probing-session/1``, checked key by key."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from instruments.bundle import check_member_path
from instruments.errors import CorruptField, UnsupportedVersion, quote_value
from instruments.probing.session_alignment import MAX_UM, check_places, is_alignment
from instruments.probing.signal_map_document import is_affine

FILE = "session.json"
SCHEMA = "faultlight.probing-session/1"
ROLES = ("suspect", "golden")
MAX_DOCUMENT_BYTES = 64 << 20
MAX_NAME_CHARACTERS = 200
MAX_PLACE = 10**9
MAX_MAPS = 10_000
_A_NAME = f"a text of at most {MAX_NAME_CHARACTERS} characters"

_UM = "a number of at most 9 digits before the point"

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4096 and "\x00" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_PLACE


def _is_um(value: Any) -> bool:
    return _is_number(value) and abs(value) <= MAX_UM


def _is_name(value: Any) -> bool:
    return _is_text(value) and len(value) <= MAX_NAME_CHARACTERS


def _is_not_negative(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_maps(value: Any) -> bool:
    named = isinstance(value, list) and all(isinstance(item, dict) and _is_text(item.get("file")) for item in value)
    return named and len(value) <= MAX_MAPS


# section, key, required, what it is, check
_RULES: tuple[tuple[str, str, bool, str, Check], ...] = (
    ("", "session", True, "a text", _is_text),
    ("", "role", True, "suspect or golden", lambda value: value in ROLES),
    ("", "technique", True, "a text", _is_text),
    ("", "spot_fwhm_nm", False, "a positive number", _is_positive),
    ("", "simulated", False, "true or false", lambda value: isinstance(value, bool)),
    ("", "netlist", False, "a file name", _is_text),
    ("", "patterns", False, "a file name", _is_text),
    ("", "fails", False, "a file name", _is_text),
    ("", "placement", False, "a file name", _is_text),
    ("", "simulation", False, "a file name", _is_text),
    ("", "layout", False, "a file name", _is_text),
    ("", "delays", False, "a file name", _is_text),
    ("", "affine", False, "two rows of three numbers", is_affine),
    ("", "alignment", False, "an object with points, and a form of affine, similarity, …", is_alignment),
    ("", "maps", False, "a list of maps, each with its file", _is_maps),
    ("unit", "program", False, "a text", _is_text),
    ("unit", "product", False, _A_NAME, _is_name),
    ("unit", "lot", False, _A_NAME, _is_name),
    ("unit", "wafer", False, _A_NAME, _is_name),
    ("unit", "x", False, "a whole number of at most 9 digits", _is_place),
    ("unit", "y", False, "a whole number of at most 9 digits", _is_place),
    ("unit", "serial", False, _A_NAME, _is_name),
    ("laser", "wavelength_nm", False, "a positive number", _is_positive),
    ("laser", "power_mw", False, "a number not below 0", _is_not_negative),
    ("stimulus", "cycle_s", True, "a positive number", _is_positive),
    ("stimulus", "cycles", False, "a positive whole number", _is_count),
    ("stimulus", "averages", False, "a positive whole number", _is_count),
    ("stimulus", "vdd_v", False, "a number", _is_number),
    ("stimulus", "temperature_c", False, "a number", _is_number),
    ("timing", "bandwidth_hz", False, "a positive number", _is_positive),
    ("timing", "rise_ps", False, "a positive number", _is_positive),
    ("timing", "jitter_ps", False, "a number not below 0", _is_not_negative),
    ("timing", "trigger_ps", False, "a number not below 0", _is_not_negative),
)
_PROBE_RULES: tuple[tuple[str, bool, str, Check], ...] = (
    ("file", True, "a file name", _is_text),
    ("net", True, "a text", _is_text),
    ("x_um", False, _UM, _is_um),
    ("y_um", False, _UM, _is_um),
    ("stage_x_um", False, _UM, _is_um),
    ("stage_y_um", False, _UM, _is_um),
    ("placement_sigma_nm", False, "a number not below 0", _is_not_negative),
    ("power_mw", False, "a number not below 0", _is_not_negative),
)


def read_document(path: Path, name: str) -> dict[str, Any]:
    """Return the checked document of the file ``path``; ``name`` is the session's, for errors.

    Raises:
        UnsupportedVersion: the schema is another.
        CorruptField: a key is missing or holds what it must not, with the key's path.
    """
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise CorruptField(
            "session.json is too large", file=name, expected=MAX_DOCUMENT_BYTES, found=path.stat().st_size
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptField(f"session.json is no JSON: {error}", file=name) from error
    if not isinstance(document, dict):
        raise CorruptField("session.json is no JSON object", file=name)
    if document.get("schema") != SCHEMA:
        found = quote_value(document.get("schema"))
        raise UnsupportedVersion("the session's schema is not known", file=name, expected=SCHEMA, found=found)
    _check_sections(document, name)
    _check_probes(document, name)
    check_places(document, name)
    _check_stimulus_source(document, name)
    return document


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _refuse(name: str, key: str, expected: str, found: Any) -> CorruptField:
    return CorruptField(f"session.json: {key} is not right", file=name, expected=expected, found=quote_value(found))


def _check_sections(document: Mapping[str, Any], name: str) -> None:
    for section, key, required, expected, check in _RULES:
        holder = document if not section else document.get(section, {})
        if not isinstance(holder, dict):
            raise _refuse(name, section, "an object", holder)
        path = f"{section}.{key}" if section else key
        if key not in holder:
            if required:
                raise _refuse(name, path, expected, None)
        elif holder[key] is not None and not check(holder[key]):
            raise _refuse(name, path, expected, holder[key])


def _check_probes(document: Mapping[str, Any], name: str) -> None:
    """Check the waveforms; there may be none before the first probe of a die, or beside maps."""
    probes = document.get("waveforms")
    asks = document.get("maps") or (document.get("netlist") and document.get("patterns"))
    if not isinstance(probes, list) or not (probes or asks):
        expected = "a list, with at least one waveform unless there are maps, or netlist and patterns"
        raise _refuse(name, "waveforms", expected, probes)
    seen: set[str] = set()
    for index, probe in enumerate(probes):
        if not isinstance(probe, dict):
            raise _refuse(name, f"waveforms[{index}]", "an object", probe)
        for key, required, expected, check in _PROBE_RULES:
            if key not in probe or probe[key] is None:
                if required:
                    raise _refuse(name, f"waveforms[{index}].{key}", expected, None)
            elif not check(probe[key]):
                raise _refuse(name, f"waveforms[{index}].{key}", expected, probe[key])
        file = check_member_path(probe["file"], name)
        if file in seen:
            raise CorruptField(f"session.json: the waveform file {file} is listed twice", file=name)
        seen.add(file)


def _check_stimulus_source(document: Mapping[str, Any], name: str) -> None:
    for key in ("netlist", "patterns", "fails", "placement", "simulation", "layout", "delays"):
        if document.get(key):
            check_member_path(document[key], name)
    if document.get("simulation") or not document["waveforms"]:
        return
    for key in ("netlist", "patterns"):
        if not document.get(key):
            raise _refuse(name, key, "a file name, unless there is a simulation", document.get(key))
