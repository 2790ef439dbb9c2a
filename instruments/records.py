"""What a file holds, typed: native numbers with gain, offset and unit, converted late.

Time axes are computed, never stored: ``t[i] = t0_s + i * dt_s``. An unknown ``t0_s`` or ``dt_s`` is ``None``,
never a guess. Every record keeps the vendor's own metadata verbatim and says what is doubtful about it
in ``warnings``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField

VendorMetadata = Mapping[str, Any]
"""Strings, numbers, booleans, lists and mappings of these: what JSON can hold."""


@dataclass(frozen=True)
class Samples:
    """A 1-D sequence of samples that is read in blocks, so that no file needs to fit in memory.

    Attributes:
        dtype: little-endian numpy dtype, for example ``<i2``.
        count: number of samples in all.
        blocks: called afresh for each pass; yields consecutive 1-D arrays of ``dtype``, ``count`` in sum.
    """

    dtype: np.dtype[Any]
    count: int
    blocks: Callable[[], Iterator[NDArray[Any]]]

    @staticmethod
    def of(array: NDArray[Any]) -> "Samples":
        """Wrap a 1-D array that is in memory."""
        flat = np.ascontiguousarray(array).ravel()
        little = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
        return Samples(little.dtype, int(little.size), lambda: iter((little,)))

    def kept(self) -> "Samples":
        """Return them read once and kept in memory, for what is costly to read again; the blocks cannot be changed."""
        blocks = tuple(self.blocks())
        for block in blocks:
            block.flags.writeable = False
        return Samples(self.dtype, self.count, lambda: iter(blocks))

    def array(self) -> NDArray[Any]:
        """Return all samples in one array of shape ``(count,)``."""
        pieces = list(self.blocks())
        return np.concatenate(pieces) if pieces else np.empty(0, self.dtype)


@dataclass(frozen=True)
class Segment:
    """One triggered piece of a segmented waveform.

    Attributes:
        count: samples in this segment.
        t0_s: time of its first sample relative to its own trigger, seconds; ``None`` if unknown.
        trigger_offset_s: its trigger after the first segment's trigger, seconds; ``None`` if unknown.
    """

    count: int
    t0_s: float | None
    trigger_offset_s: float | None = None


@dataclass(frozen=True)
class Waveform:
    """Regularly sampled values of one channel: ``value = gain * sample + offset`` in ``unit``.

    ``segments`` has at least one entry; their counts add up to ``samples.count``. ``kind`` is ``"waveform"``,
    ``"envelope_min"``, ``"envelope_max"`` or ``"digital_lines"`` (each sample a word of parallel lines, one
    bit a line). ``minimum`` and ``maximum`` are of the finite values, in ``unit``, ``None`` when there are none, and
    until :meth:`measured` looks at the samples.
    """

    name: str
    samples: Samples
    unit: str
    dt_s: float | None
    segments: tuple[Segment, ...]
    minimum: float | None = None
    maximum: float | None = None
    gain: float = 1.0
    offset: float = 0.0
    kind: str = "waveform"
    averages: int | None = None
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def t0_s(self) -> float | None:
        """Time of the first sample of the first segment relative to its trigger, seconds."""
        return self.segments[0].t0_s

    def measured(self, *doubts: str) -> "Waveform":
        """Return it with ``minimum`` and ``maximum``, from one pass over the samples, and with further warnings."""
        low, high = finite_range(self.samples.blocks(), self.gain, self.offset)
        return replace(self, minimum=low, maximum=high, warnings=(*self.warnings, *doubts))

    def values(self) -> NDArray[np.float64]:
        """Return all values in ``unit`` as float64 of shape ``(samples.count,)``."""
        return self.samples.array().astype(np.float64) * self.gain + self.offset


@dataclass(frozen=True)
class DigitalTrace:
    """The value changes of one signal.

    Attributes:
        name: full hierarchical name, dot-separated.
        identifier: the dump's own id; aliases share it.
        kind: ``"wire"``, ``"real"``, ``"string"``, … as the dump says.
        width: bits; 0 for reals and strings.
        timescale_s: seconds of one tick; ``None`` when the file does not say.
        ticks: int64 array ``(changes,)``, non-decreasing.
        values: one text per change: bits ``01xz…`` most significant first, or the real or string itself.
        initial_ticks_offset: the file's ``$timezero`` in ticks; true time is ``ticks + initial_ticks_offset``.
    """

    name: str
    identifier: str
    kind: str
    width: int
    timescale_s: float | None
    ticks: NDArray[np.int64]
    values: tuple[str, ...]
    initial_ticks_offset: int = 0
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gate:
    """One gate: ``output = function(inputs)``.

    ``function`` is one of ``AND NAND OR NOR XOR XNOR NOT BUF CONST0 CONST1 DFF`` or, for a library cell, a
    sum-of-minterms truth table written ``TABLE:<bits>``: bit ``i`` (0/1, from the left, ``i = 0`` first) is the
    output for inputs whose binary number is ``i`` with the first input as the most significant bit. A ``DFF``
    has one input, its data; clock and reset are in ``pins``.
    """

    instance: str
    cell: str
    function: str
    output: str
    inputs: tuple[str, ...]
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Netlist:
    """A flat gate-level circuit in full: every cell that the file names is here, or the file is refused.

    In full-scan view a flip-flop's output net is an input and its data net an output; ``inputs`` and
    ``outputs`` are the circuit's own ports only.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    gates: tuple[Gate, ...]
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PatternSet:
    """Stimulus: ``bits[cycle, column]`` (uint8, 0/1, shape ``(cycles, len(nets))``) drives ``nets[column]``."""

    name: str
    nets: tuple[str, ...]
    bits: NDArray[np.uint8]
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailLog:
    """The tester's failing bits: ``outputs[i]`` differed from the good value in cycle ``cycles[i]`` (int64)."""

    name: str
    cycles: NDArray[np.int64]
    outputs: tuple[str, ...]
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """Where each driver's drain lies: arrays of shape ``(drains,)``, ``x_um`` and ``y_um`` float64 in micrometres."""

    name: str
    instances: tuple[str, ...]
    nets: tuple[str, ...]
    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbingSession:
    """One session at the laser: its document, and the records of the files it names.

    ``document`` is ``session.json`` (schema ``faultlight.probing-session/1``), verbatim and validated.
    ``waveforms`` maps each waveform file named there to the waveforms read from it, in file order; ``maps`` each
    map's file to the rasters read from it. ``delays`` are the tables of its SDF or Liberty file.
    """

    name: str
    role: str
    document: Mapping[str, Any]
    netlist: Netlist | None
    patterns: PatternSet | None
    fails: FailLog | None
    placement: Placement | None
    simulation: tuple[DigitalTrace, ...]
    waveforms: Mapping[str, tuple[Waveform, ...]]
    maps: "Mapping[str, tuple[Raster, ...]]" = field(default_factory=dict)
    delays: "tuple[Table, ...]" = ()
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Named columns of equal length; ``units`` has one entry per column, ``""`` for dimensionless or text.

    A column is float64 (missing: NaN), int64 or bool (never missing), or text of dtype ``StringDType`` (missing:
    ``""``). ``kind`` says what a row is, for example ``mask_defect``; :class:`instruments.vocabulary.Vocabulary`
    makes the tables of a kind, with the columns and units that every file of that kind gets.
    """

    name: str
    columns: Mapping[str, NDArray[Any]]
    units: Mapping[str, str]
    kind: str = "table"
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0


@dataclass(frozen=True)
class Band:
    """One layer of a raster: what it is (``amplitude``, ``phase``, ``real``, ``imaginary``, ``grey``) in ``unit``."""

    name: str
    unit: str


@dataclass(frozen=True)
class Raster:
    """Values on a regular grid, an image or a map of a signal: ``value = gain * sample + offset`` in the band's unit.

    Attributes:
        samples: all bands one after another, each row by row from the top.
        rows, columns: of one band.
        kind: ``"image"`` or ``"signal_map"`` (LVI, EOFM, reflectance).
        pitch_x_m, pitch_y_m: distance of neighbouring pixels on the sample in metres; ``None`` if unknown.
        frequency_hz: of the lock-in or spectrum analyser; ``None`` when there is none.
        affine_um: rows of the 2x3 matrix from (column, row, 1) to layout coordinates in micrometres, if known.
        minimum, maximum: of the finite values over all bands, ``None`` when there are none, and until
            :meth:`measured` looks at the samples.
    """

    name: str
    samples: Samples
    rows: int
    columns: int
    bands: tuple[Band, ...]
    kind: str
    minimum: float | None = None
    maximum: float | None = None
    pitch_x_m: float | None = None
    pitch_y_m: float | None = None
    frequency_hz: float | None = None
    affine_um: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    gain: float = 1.0
    offset: float = 0.0
    vendor_metadata: VendorMetadata = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def measured(self, *doubts: str) -> "Raster":
        """Return it with ``minimum`` and ``maximum``, from one pass over the samples, and with further warnings."""
        low, high = finite_range(self.samples.blocks(), self.gain, self.offset)
        return replace(self, minimum=low, maximum=high, warnings=(*self.warnings, *doubts))

    def values(self) -> NDArray[np.float64]:
        """Return all values as float64 of shape ``(bands, rows, columns)``."""
        flat = self.samples.array().astype(np.float64) * self.gain + self.offset
        return flat.reshape(len(self.bands), self.rows, self.columns)


Record = Waveform | DigitalTrace | Netlist | PatternSet | FailLog | Placement | ProbingSession | Table | Raster


@dataclass(frozen=True)
class ReadResult:
    """What an adapter made of one file or bundle."""

    file: str
    format: str
    adapter: str
    adapter_version: str
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()


def finite_range(
    blocks: Iterable[NDArray[Any]], gain: float = 1.0, offset: float = 0.0
) -> tuple[float | None, float | None]:
    """Return the smallest and largest ``gain * sample + offset`` of finite samples, or ``(None, None)``.

    Raises:
        CorruptField: one of these is no finite number.
    """
    low, high = np.inf, -np.inf
    for block in blocks:
        if not block.size:
            continue
        ends = float(block.min()), float(block.max())  # not-a-number and infinity come through
        if not np.isfinite(ends).all():
            finite = block[np.isfinite(block)]
            if not finite.size:
                continue
            ends = float(finite.min()), float(finite.max())
        low, high = min(low, ends[0]), max(high, ends[1])
    if low > high:
        return None, None
    values = (low * gain + offset, high * gain + offset)
    if not np.isfinite(values).all():
        raise CorruptField("the scale makes values that are no finite numbers", found=f"{gain} and {offset}")
    return min(values), max(values)
