"""The named values after the curve of a Tektronix ``.wfm`` file (``tekmeta!``), and what they say of the samples.

Nothing but these names tells interleaved I and Q, and lines d0 to d7, from an ordinary record.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, UnsupportedVersion

MAX_NOTES_BYTES = 16 << 20
WINDOW_FACTORS = {
    "blackharris": 1.9,
    "flattop2": 3.77,
    "hanning": 1.44,
    "hamming": 1.3,
    "rectangle": 0.89,
    "kaiserbessel": 2.23,
}
"""Resolution bandwidth in bins of a transform, by window (Tektronix, "Spectrum View", window factors)."""
_MARK = b"tekmeta!"
_NUMBERS = {2: "i", 3: "d", 4: "I"}
_STATED, _DERIVED = 0.01, 0.05


def read_notes(source: Source, order: str, start: int) -> dict[str, Any]:
    """Return the named values after byte ``start``; they reach exactly to the end of the file.

    Args:
        source: the file.
        order: its byte order, ``"<"`` or ``">"``.
        start: where the checksum ends.

    Raises:
        CorruptField, CountMismatch: there is something else, or they are not whole.
    """
    if source.size_bytes - start > MAX_NOTES_BYTES:
        message = "the file goes on after its curve"
        raise CountMismatch(message, file=source.name, offset=start, expected=start, found=source.size_bytes)
    with source.path.open("rb") as file:
        file.seek(start)
        data = file.read()
    if not data.strip(b"\x00\r\n"):
        return {}
    if not data.startswith(_MARK):
        message = "what follows the checksum is no block of notes"
        raise CorruptField(message, file=source.name, offset=start, expected="tekmeta!", found=repr(data[:8]))
    notes: dict[str, Any] = {}
    try:
        place = 12
        for _ in range(struct.unpack_from(order + "I", data, 8)[0]):
            key, place = _read_string(order, data, place)
            tag, place = data[place], place + 1
            if tag == 1:
                notes[key], place = _read_string(order, data, place)
                continue
            layout = struct.Struct(order + _NUMBERS[tag])
            value = layout.unpack_from(data, place)[0]
            notes[key] = value if math.isfinite(value) else str(value)
            place += layout.size
    except (struct.error, IndexError, KeyError, ValueError) as error:
        message = f"the block of notes after the curve cannot be read: {type(error).__name__}"
        raise CorruptField(message, file=source.name, offset=start + place) from error
    if data[place:].strip(b"\x00\r\n"):
        message = "the file goes on after its notes"
        raise CountMismatch(message, file=source.name, offset=start + place, expected=place, found=len(data))
    return notes


def _read_string(order: str, data: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(order + "I", data, place)
    place += 4
    if place + length > len(data):
        raise ValueError("a string reaches beyond the end")
    return data[place : place + length].decode("utf-8"), place + length


def lines_of(notes: Mapping[str, Any]) -> dict[str, int]:
    """Return the logic lines that the notes name, ``d0`` to ``d7``, with their bit in each sample."""
    names = sorted(key for key in notes if len(key) == 2 and key[0] == "d" and key[1] in "01234567")
    return {name: int(name[1]) for name in names}


def is_interleaved(notes: Mapping[str, Any]) -> bool:
    """Tell whether the samples are in-phase and quadrature values in turn."""
    return any(key.startswith("IQ_") for key in notes)


def pair_interval_s(source: Source, notes: Mapping[str, Any], dt_s: float) -> float:
    """Return the time from one pair of I and Q to the next in seconds.

    The published format does not say whether the horizontal scale ``dt_s`` is of pairs or of single values. The
    sample rate in the notes decides, or that which the transform's length, window and resolution bandwidth give
    (rate = length x bandwidth / window factor): it must be 1 / ``dt_s`` or half of it.

    Raises:
        UnsupportedVersion: the notes have no such rate.
        CountMismatch: it is neither.
    """
    rate, tolerance = _number(notes, "IQ_sampleRate"), _STATED
    if rate is None:
        length, width = _number(notes, "IQ_fftLength"), _number(notes, "IQ_rbw")
        factor = WINDOW_FACTORS.get(str(notes.get("IQ_windowType", "")).lower())
        if length is None or width is None or factor is None:
            message = "interleaved I and Q are not read without their sample rate: the interval of a pair is not known"
            raise UnsupportedVersion(message, file=source.name, expected="IQ_sampleRate, or IQ_fftLength and IQ_rbw")
        rate, tolerance = length * width / factor, _DERIVED
    for interval in (dt_s, 2 * dt_s):
        if abs(interval * rate - 1) <= tolerance:
            return interval
    message = "the sample rate of I and Q is neither that of the horizontal scale nor half of it"
    raise CountMismatch(
        message, file=source.name, expected=f"{1 / dt_s:.6g} or {0.5 / dt_s:.6g} Hz", found=f"{rate:.6g}"
    )


def _number(notes: Mapping[str, Any], key: str) -> float | None:
    value = notes.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None
