"""A small writer of TIFF files with makers' tags, and of the tags themselves."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

SHORT, LONG, ASCII, UNDEFINED = 3, 4, 2, 7
FEI = """[User]\r\nDate=06/13/2016\r\n[Beam]\r\nHV=30000\r\nBeam=IBeam\r\nScan=IScan\r\n
[IBeam]\r\nHV=30000\r\nBeamCurrent=2.4e-011\r\nWD=0.0165\r\nEmissionCurrent=\r\n
[IScan]\r\nDwell=3e-007\r\nPixelWidth=4e-009\r\nPixelHeight=5e-009\r\nHorFieldsize=2.4e-008\r\n
[Image]\r\nResolutionX=6\r\nResolutionY=4\r\n[Stage]\r\nStageX=notafloat\r\nStageR=0.5\r\n"""


def fei(**changes: str) -> bytes:
    """The tag 34682, each ``name`` of ``changes`` with another value."""
    text = FEI
    for name, value in changes.items():
        lines = [f"{name}={value}" if line.startswith(f"{name}=") else line for line in text.splitlines()]
        text = "\r\n".join(lines)
    return text.encode() + b"\x00"


def zeiss(entries: Mapping[str, str], declared: int | None = None) -> bytes:
    """The tag 34118; ``entries`` are lines ``Name = value`` by key."""
    body = "".join(f"{key}\r\n{line}\r\n" for key, line in entries.items())
    return f"0\r\n0\r\n5.9e-07\r\n{len(entries) if declared is None else declared}\r\n{body}".encode("latin-1")


ZEISS = {
    "DP_FIB_IMAGING": "FIB Imaging = SEM",
    "AP_PIXEL_SIZE": "Pixel Size = 1.234 nm",
    "AP_IMAGE_PIXEL_SIZE": "Image Pixel Size = 500.0 pm",
    "AP_WIDTH": "Width = 3.000 nm",
    "AP_ACTUALKV": "EHT = 5.00 kV",
    "AP_IPROBE": "I Probe = 200 pA",
    "AP_WD": "WD = 5.2 mm",
    "AP_STAGE_AT_T": "Stage at T = 90.0 °",
    "AP_TIME": "Time :8:40:47",
    "SV_USER_TEXT": "User Text = ",
}


def tescan(*, pixel_x: str = "2.5e-9", fib: bool = False) -> bytes:
    """The tag 50431: a picture, the sections MAIN and SEM or FIB, the end."""
    main = f"Device=MIRA3\r\nImageStripSize=2\r\nPixelSizeX={pixel_x}\r\nPixelSizeY=2.5e-9\r\n".encode()
    beam = b"HV=10.0e3\r\nWD=13.250e-3\r\nPredictedBeamCurrent=264e-12\r\nStageTilt=0.0\r\n"
    blocks = ((1, b"\x00jP2 picture"), (2, main + b"\x00"), (5 if fib else 3, beam + b"\x00"), (0, b""))
    return b"".join(struct.pack("<IH", len(data) + 2, number) + data for number, data in blocks)


def tiff(
    pixels: NDArray[np.generic],
    tags: Mapping[int, bytes],
    *,
    order: str = "<",
    rows_per_strip: int = 4,
    changes: Mapping[int, Sequence[int]] | None = None,
) -> bytes:
    """A file of one image: the header, the directory, the values of the tags, the strips."""
    rows, columns = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    step = columns * pixels.itemsize * rows_per_strip
    strips = [data[start : start + step] for start in range(0, len(data), step)]
    entries: dict[int, tuple[int, Sequence[int] | bytes]] = {
        256: (LONG, [columns]),
        257: (LONG, [rows]),
        258: (SHORT, [pixels.itemsize * 8]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        273: (LONG, [0] * len(strips)),
        277: (SHORT, [1]),
        278: (LONG, [rows_per_strip]),
        279: (LONG, [len(strip) for strip in strips]),
        339: (SHORT, [3 if pixels.dtype.kind == "f" else 1]),
    }
    entries |= {code: (UNDEFINED if code == 50431 else ASCII, value) for code, value in tags.items()}
    entries |= {code: (entries[code][0], list(values)) for code, values in (changes or {}).items()}
    after = 8 + 2 + 12 * len(entries) + 4
    sizes = {code: len(values) * {SHORT: 2, LONG: 4}.get(kind, 1) for code, (kind, values) in entries.items()}
    first_strip = after + sum(size + size % 2 for size in sizes.values() if size > 4)
    if 273 not in (changes or {}):
        offsets = np.cumsum([first_strip, *(len(strip) for strip in strips)])[:-1]
        entries[273] = (LONG, [int(value) for value in offsets])
    directory, values_area = struct.pack(f"{order}H", len(entries)), b""
    for code in sorted(entries):
        kind, values = entries[code]
        packed = (
            values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{'HI'[kind == LONG]}", *values)
        )
        head = struct.pack(f"{order}HHI", code, kind, len(values))
        if len(packed) <= 4:
            directory += head + packed.ljust(4, b"\x00")
        else:
            directory += head + struct.pack(f"{order}I", after + len(values_area))
            values_area += packed + b"\x00" * (len(packed) % 2)
    start = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8)
    return start + directory + struct.pack(f"{order}I", 0) + values_area + b"".join(strips)


PIXELS = (np.arange(36).reshape(6, 6) * 7).astype(np.uint8)


def sample() -> bytes:
    """An FEI image of 6 x 6 pixels."""
    return tiff(PIXELS, {34682: fei()})
