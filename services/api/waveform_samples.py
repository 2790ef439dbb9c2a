"""The samples of a waveform from its blob, in blocks: native, as float32, as JSON, and binned for a screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from db.blobs import BlobMissing, BlobStore

BLOCK_SAMPLES = 1 << 18
VIEW_BLOCK_SAMPLES = 1 << 20
"""Of a view, which gives nothing on before the end: fewer and larger reads take a third of the time."""
SAMPLE_COLUMNS = (
    "id", "sha256", "blob_key", "byte_offset", "dtype", "sample_count", "gain", "offset", "unit", "t0_s", "dt_s",
)  # fmt: skip


@dataclass(frozen=True)
class StoredSamples:
    """Where the samples of a waveform lie: ``value = gain * sample + offset``."""

    blob_key: str
    byte_offset: int
    dtype: np.dtype[Any]
    count: int
    gain: float
    offset: float

    @property
    def byte_length(self) -> int:
        """Bytes of all samples."""
        return self.count * self.dtype.itemsize

    def read_bytes(self, blobs: BlobStore, first: int, last: int) -> bytes:
        """Return the native little-endian bytes of samples ``first`` up to, not including, ``last``.

        Raises :class:`BlobMissing` when the store has fewer bytes than the row says.
        """
        width = self.dtype.itemsize
        data = blobs.read_range(self.blob_key, self.byte_offset + first * width, (last - first) * width)
        if len(data) != (last - first) * width:
            raise BlobMissing(self.blob_key)
        return data

    def blocks(
        self, blobs: BlobStore, first: int, last: int, size: int | None = None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (index of the first sample, samples) of consecutive blocks between ``first`` and ``last``."""
        size = size or BLOCK_SAMPLES
        for start in range(first, last, size):
            stop = min(start + size, last)
            yield start, np.frombuffer(self.read_bytes(blobs, start, stop), self.dtype)

    def values(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """Return samples in the waveform's unit."""
        scaled: NDArray[np.float64] = samples.astype(np.float64) * self.gain + self.offset
        return scaled


def stored_samples(row: Any) -> StoredSamples:
    """Return where the samples of a waveform's row lie; raises ValueError for a type that is no number."""
    dtype = _sample_type(row["dtype"])
    return StoredSamples(row["blob_key"], row["byte_offset"], dtype, row["sample_count"], row["gain"], row["offset"])


@lru_cache(maxsize=64)
def _sample_type(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name).newbyteorder("<")
    if dtype.kind not in "iuf":
        raise ValueError(f"the waveform's samples are {dtype}, not numbers")
    return dtype


def describe_samples(row: Any, *, as_float32: bool) -> dict[str, str]:
    """Return the headers that say how to read binary samples; the unit is percent-encoded UTF-8."""
    headers = {
        "Faultlight-Dtype": "<f4" if as_float32 else str(row["dtype"]),
        "Faultlight-Gain": repr(1.0 if as_float32 else float(row["gain"])),
        "Faultlight-Offset": repr(0.0 if as_float32 else float(row["offset"])),
        "Faultlight-Unit": _quote(row["unit"]),
        "Faultlight-Count": str(row["sample_count"]),
    }
    for name, value in (("Faultlight-T0", row["t0_s"]), ("Faultlight-Dt", row["dt_s"])):
        if value is not None:
            headers[name] = repr(float(value))
    return headers


_quote = lru_cache(maxsize=1024)(quote)


def stream_native(blobs: BlobStore, stored: StoredSamples) -> Iterator[bytes]:
    """Yield the samples as they are stored."""
    for start in range(0, stored.count, BLOCK_SAMPLES):
        yield stored.read_bytes(blobs, start, min(start + BLOCK_SAMPLES, stored.count))


def stream_float32(blobs: BlobStore, stored: StoredSamples) -> Iterator[bytes]:
    """Yield the values in the waveform's unit as little-endian float32 (beyond its range: infinite)."""
    for _, samples in stored.blocks(blobs, 0, stored.count):
        with np.errstate(over="ignore"):
            values = stored.values(samples).astype("<f4")
        yield values.tobytes()


def stream_json(blobs: BlobStore, stored: StoredSamples, head: dict[str, Any]) -> Iterator[bytes]:
    """Yield the document with ``head`` and ``values``; a value that is not finite becomes null."""
    yield orjson.dumps(head)[:-1] + b',"values":['
    for start, samples in stored.blocks(blobs, 0, stored.count):
        text = orjson.dumps(stored.values(samples), option=orjson.OPT_SERIALIZE_NUMPY)
        yield (b"," if start else b"") + text[1:-1]
    yield b"]}"


def bin_edges(first: int, last: int, bins: int) -> NDArray[np.int64]:
    """Return the ``bins + 1`` indices that part the samples ``first`` … ``last - 1`` as evenly as integers allow."""
    span = last - first
    return first + np.arange(bins + 1, dtype=np.int64) * (span // bins) + np.arange(bins + 1) * (span % bins) // bins


def bin_extremes(
    blobs: BlobStore, stored: StoredSamples, edges: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest and the largest finite value of each bin, NaN where there is none.

    Every sample counts, so a glitch of one sample is never lost; memory is bounded by one block.
    """
    bins = len(edges) - 1
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    for start, samples in stored.blocks(blobs, int(edges[0]), int(edges[-1]), VIEW_BLOCK_SAMPLES):
        begin = int(np.searchsorted(edges, start, side="right")) - 1
        end = int(np.searchsorted(edges, start + len(samples), side="left"))
        smallest, largest = _block_extremes(stored, samples, np.maximum(edges[begin:end] - start, 0))
        low[begin:end] = np.fmin(low[begin:end], smallest)
        high[begin:end] = np.fmax(high[begin:end], largest)
    return low, high


def _block_extremes(
    stored: StoredSamples, samples: NDArray[Any], places: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the extremes of the pieces of a block that begin at ``places``, in the waveform's unit.

    Scaling keeps or turns the order, so the extremes are looked for among the native numbers and only they are
    scaled: sixty times as fast for 16-bit samples. Where something is not finite, before or after, each value counts.
    """
    ends = np.minimum.reduceat(samples, places), np.maximum.reduceat(samples, places)
    with np.errstate(over="ignore", invalid="ignore"):
        first, second = stored.values(ends[0]), stored.values(ends[1])
        if np.isfinite(first).all() and np.isfinite(second).all():
            return np.minimum(first, second), np.maximum(first, second)
        values = stored.values(samples)
    values[~np.isfinite(values)] = np.nan
    return np.fmin.reduceat(values, places), np.fmax.reduceat(values, places)
