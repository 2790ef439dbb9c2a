"""How many samples an oscilloscope file must hold, from its length and a few header fields: our own arithmetic.

It knows nothing of the reader whose result it checks (RigolWFM). A family without arithmetic here is not read.
"""

import struct
from dataclasses import dataclass

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, Truncated, UnsupportedVersion

DS1000Z = b"\x01\xff\xff\xff"
DS1000E = b"\xa5\xa5\x00\x00"
DS1000B = b"\xa5\xa5\xa4\x01"
DS1000C = b"\xa1\xa5\x00\x00"
DS2000 = b"\xa5\xa5\x38\x00"
DHO = b"\x02\x00\x00\x00"
UNPROVEN = {
    "DS2000": "its files store unit, inversion and trigger position in two ways and do not say which; save .csv",
    "DS4000": "no field of a DS4000 file says how long it is, so that nothing proves what is read; save .csv",
    "DS6000": "no reader has been tried on a file of a real DS6000, so that nothing proves what is read; save .csv",
    "DHO": "the place of the samples and of the trigger in a DHO .wfm file is not published; save .bin",
}
"""Families that are refused, and why."""
_DS1000E_HEADER_BYTES = 276
_DS1000B_HEADER_BYTES = 420
_DS1000C_HEADER_BYTES = 256
_DS1000C_PADDED_BYTES = 272
_ALTERNATE_TRIGGER = 4
_PEAK_DETECT = 1


@dataclass(frozen=True)
class Count:
    """What must come out of a reader.

    Attributes:
        channels: numbers of the channels, from 1.
        points: samples of each channel.
        dt_s: sampling interval, seconds.
        t0_s: time of the first sample from the trigger, seconds.
        midpoint: the code that stands for 0 before the offset.
        probe_factors: attenuation of each channel's probe.
        model: RigolWFM's letter for the family.
        doubts: what is not proven of the values.
    """

    channels: tuple[int, ...]
    points: int
    dt_s: float
    t0_s: float
    midpoint: float
    probe_factors: tuple[float, ...] = ()
    model: str = ""
    doubts: tuple[str, ...] = ()


def count_ds1000z(source: Source) -> Count:
    """Count the samples of a Rigol DS1000Z or MSO1000Z ``.wfm``: one byte each, channels interleaved to the end.

    Raises:
        Truncated, CountMismatch: the file's length is another.
        CorruptField, UnsupportedVersion: a field is not right, or the file holds logic levels or is no waveform.
    """
    head = _head(source, 264)
    offset_ps, flags = struct.unpack_from("<q", head, 72)[0], head[88]
    logic, mode = struct.unpack_from("<I", head, 108)[0], head[115]
    depth, rate_ghz = struct.unpack_from("<If", head, 116)
    block_bytes, block_start = struct.unpack_from("<II", head, 256)
    channels = tuple(number for number in range(1, 5) if flags & (1 << (number - 1)))
    if logic or not channels:
        raise UnsupportedVersion("the file holds logic levels, which are not read", file=source.name)
    if mode != 0:
        message = "the time base is not Y-T; this is no waveform over time"
        raise UnsupportedVersion(message, file=source.name, offset=115, expected=0, found=mode)
    if head[112] == _PEAK_DETECT:
        message = "peak-detect captures are not read: whether they hold pairs is not known"
        raise UnsupportedVersion(message, file=source.name, offset=112)
    stride = 4 if len(channels) == 3 else len(channels)
    if depth == 0 or depth % stride:
        raise CorruptField("the memory depth is not right", file=source.name, offset=116, found=depth)
    _check_length(source, block_start + block_bytes + depth)
    dt_s = _interval(source, rate_ghz * 1e9, 120)
    points = depth // stride
    return Count(channels, points, dt_s, offset_ps * 1e-12 - points * dt_s / 2, 127.0, model="Z")


def count_ds1000e(source: Source) -> Count:
    """Count the samples of a Rigol DS1000D or DS1000E ``.wfm``: one byte each, channel after channel to the end.

    Some files of the DS1000C begin with the same bytes and are four bytes shorter, which a cut file may be too.

    Raises:
        Truncated, CountMismatch: the file's length is another.
        UnsupportedVersion: roll mode, alternating trigger or logic levels.
    """
    head = _head(source, _DS1000E_HEADER_BYTES)
    roll, points = struct.unpack_from("<I", head, 20)[0], struct.unpack_from("<I", head, 28)[0]
    channels = tuple(number for number, place in ((1, 49), (2, 73)) if head[place])
    if channels and source.size_bytes == _DS1000C_PADDED_BYTES + points * len(channels):
        message = "the file is either of a DS1000C or a cut one of a DS1000E, and does not say which; save .csv"
        expected = _DS1000E_HEADER_BYTES + points * len(channels)
        raise UnsupportedVersion(message, file=source.name, expected=expected, found=source.size_bytes)
    second = struct.unpack_from("<I", head, 232)[0] or points
    for wrong, what in (
        (roll, "was stopped in roll mode"),
        (head[142] == _ALTERNATE_TRIGGER, "has an alternating trigger"),
        (head[120] & 1, "holds logic levels"),
        (not channels or not points, "holds no channel"),
        (len(channels) > 1 and second != points, "has channels of different lengths"),
    ):
        if wrong:
            raise UnsupportedVersion(f"the file {what}, which is not read", file=source.name)
    _check_length(source, _DS1000E_HEADER_BYTES + points * len(channels))
    dt_s = _interval(source, struct.unpack_from("<f", head, 100)[0], 100)
    offset_ps = struct.unpack_from("<q", head, 112)[0]
    probes = tuple(float(struct.unpack_from("<f", head, 44 + 24 * (number - 1))[0]) for number in channels)
    factor = max(probes, key=lambda probe: abs(probe - 1))
    doubts = (f"read as of a DS1000E; if it is of a DS1000D, the values are {factor:g} times too large",)
    t0_s = offset_ps * 1e-12 - points * dt_s / 2
    return Count(channels, points, dt_s, t0_s, 125.0, probes, "E", doubts)


def count_ds1000c(source: Source) -> Count:
    """Count the samples of a Rigol DS1000C, DS1000CD or DS1000M ``.wfm``: one byte each, channel after channel.

    Raises:
        Truncated, CountMismatch: the file's length is another.
        CorruptField, UnsupportedVersion: no channel, or a sampling rate that is none.
    """
    head = _head(source, _DS1000C_HEADER_BYTES)
    points = struct.unpack_from("<I", head, 28)[0]
    channels = tuple(number for number in (1, 2) if head[24 * number + 25])
    return _legacy(source, channels, _Legacy("C", points, _DS1000C_HEADER_BYTES, 36, 8, 92, 100, 125.0))


def count_ds1000b(source: Source) -> Count:
    """Count the samples of a Rigol DS1000B ``.wfm``: one byte each, channel after channel to the end.

    Raises:
        Truncated, CountMismatch: the file's length is another.
        CorruptField, UnsupportedVersion: no channel or a gap among them, or a sampling rate that is none.
    """
    head = _head(source, _DS1000B_HEADER_BYTES)
    points = struct.unpack_from("<I", head, 60)[0]
    channels = tuple(number for number in range(1, 5) if head[68 + 24 * (number - 1) + 14])
    if channels != tuple(range(1, len(channels) + 1)):
        message = "the channels are not the first ones; where the others lie in the file is not known"
        raise UnsupportedVersion(message, file=source.name, found=str(channels))
    return _legacy(source, channels, _Legacy("B", points, _DS1000B_HEADER_BYTES, 68, 8, 172, 180, 127.0))


@dataclass(frozen=True)
class _Legacy:
    """Where the fields of an older family are: header of channel 1 and its probe, time offset, sampling rate."""

    model: str
    points: int
    start: int
    channel: int
    probe: int
    offset: int
    rate: int
    midpoint: float


def _legacy(source: Source, channels: tuple[int, ...], fields: _Legacy) -> Count:
    head = source.head
    if not channels or not fields.points:
        raise UnsupportedVersion("the file holds no channel, which is not read", file=source.name)
    _check_length(source, fields.start + fields.points * len(channels))
    dt_s = _interval(source, struct.unpack_from("<f", head, fields.rate)[0], fields.rate)
    t0_s = struct.unpack_from("<q", head, fields.offset)[0] * 1e-12 - fields.points * dt_s / 2
    places = (fields.channel + 24 * (number - 1) + fields.probe for number in channels)
    probes = tuple(float(struct.unpack_from("<f", head, place)[0]) for place in places)
    doubts = (
        f"no published source says whether the scale of a DS1000{fields.model} already has the probe's factor; "
        "it is applied",
    )
    return Count(channels, fields.points, dt_s, t0_s, fields.midpoint, probes, fields.model, doubts)


def family_of(source: Source) -> str:
    """Return the name of a family that is refused, or an empty text."""
    magic = source.head[:4]
    if magic == DHO and source.name.lower().endswith(".wfm"):
        return "DHO"
    if magic != DS2000:
        return ""
    series = source.head[4:24].removeprefix(b"MSO").removeprefix(b"DS")[:1]
    return {b"4": "DS4000", b"6": "DS6000"}.get(series, "DS2000")


def _head(source: Source, length: int) -> bytes:
    if len(source.head) < length:
        message = "the file ends inside its header"
        raise Truncated(message, file=source.name, offset=0, expected=length, found=len(source.head))
    return source.head


def _interval(source: Source, rate_hz: float, offset: int) -> float:
    if not 0 < rate_hz < 1e13:
        raise CorruptField("the sampling rate is not right", file=source.name, offset=offset, found=rate_hz)
    return 1 / rate_hz


def _check_length(source: Source, expected: int) -> None:
    found = source.size_bytes
    if found < expected:
        message = "the file ends before its samples do"
        raise Truncated(message, file=source.name, offset=found, expected=expected, found=found)
    if found > expected:
        message = "the file is longer than its samples"
        raise CountMismatch(message, file=source.name, offset=expected, expected=expected, found=found)
