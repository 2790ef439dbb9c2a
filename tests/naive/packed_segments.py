"""The slow and obvious twin of ``instruments.packed_segments``: one segment after another, cut from one array."""

import hashlib
from collections.abc import Sequence

from instruments.packed_parts import PackedPart
from instruments.records import Waveform, finite_range


def cut_segments(waveform: Waveform, start: int) -> tuple[bytes, Sequence[PackedPart]]:
    """Return the bytes of all samples and where each segment lies when the first byte is byte ``start``."""
    samples = waveform.samples.array()
    data = samples.tobytes()
    parts = []
    first = 0
    for index, segment in enumerate(waveform.segments):
        piece = samples[first : first + segment.count]
        first += segment.count
        low, high = finite_range((piece,), waveform.gain, waveform.offset)
        parts.append(
            PackedPart(
                segment_index=index,
                byte_offset=start,
                byte_length=piece.nbytes,
                sha256=hashlib.sha256(piece.tobytes()).hexdigest(),
                count=segment.count,
                dtype=samples.dtype.str.replace("|", "<"),
                t0_s=segment.t0_s,
                trigger_offset_s=segment.trigger_offset_s,
                minimum=low,
                maximum=high,
            )
        )
        start += piece.nbytes
    return data, parts
