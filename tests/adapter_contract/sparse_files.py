"""Files of some gigabytes that hold nothing but a header: the samples are a hole, which takes no space on the disk."""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from instruments.adapter import HEAD_BYTES, Source
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from tests.adapter_contract.cases import CODES, FLOATS, MAP, MAPPING, photometer, written
from tests.instruments.probing import tdms_writer, writers
from tests.instruments.repair import tiff_writer


def place(folder: Path, name: str, files: Mapping[str, tuple[bytes, int]]) -> Source:
    """Write the files, each (beginning, bytes in all), below ``folder``; a single one is called ``""``."""
    members = {}
    for member, (head, size) in files.items():
        path = folder / (member or name)
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)
        members[member] = path
    if set(members) == {""}:
        head, size = files[""]
        return Source(members[""], name, size, head[:HEAD_BYTES].ljust(min(size, HEAD_BYTES), b"\x00"), {})
    return Source(folder, name, sum(size for _, size in files.values()), b"", members)


def sparse_photometer(folder: Path) -> tuple[Source, int]:
    count = 5_000_000_000
    head = photometer(CODES[:0], samples=str(count))
    return place(folder, "a.pm", {"": (head, len(head) + 2 * count)}), count


def sparse_lecroy(folder: Path) -> tuple[Source, int]:
    count = 1_000_000_000
    data = bytearray(written(lambda path: write_lecroy_trc(path, CODES[None], Scaling(0.5, 1.0, 1e-9, -1e-8))))
    start = data.index(b"WAVEDESC")
    struct.pack_into("<i", data, start + 60, 2 * count)
    struct.pack_into("<i", data, start + 116, count)
    struct.pack_into("<i", data, start + 128, count - 1)
    head = bytes(data[: len(data) - CODES.nbytes])
    return place(folder, "C1.trc", {"": (head, len(head) + 2 * count)}), count


def sparse_isf(folder: Path) -> tuple[Source, int]:
    count = 499_999_999
    head = writers.isf(CODES[:0], NR_PT=str(count), end=b"").replace(b"#10", f"#9{2 * count}".encode())
    return place(folder, "a.isf", {"": (head, len(head) + 2 * count)}), count


def sparse_tektronix(folder: Path) -> tuple[Source, int]:
    count, start, extra = 1_000_000_000, 838, 8
    last = extra + 2 * count + 8
    patches = [(11, "i", start + last + 8 - 15), (504, "I", count)]
    patches += [(808 + 18, "I", last - 8), (808 + 22, "I", last), (808 + 26, "I", last)]
    head = writers.tektronix_wfm(CODES, notes=(), patches=patches)[:start]
    return place(folder, "a.wfm", {"": (head, start + last + 8)}), count


def sparse_container(folder: Path) -> tuple[Source, int]:
    count = 4_000_000_000
    head = writers.container_waveform([(1, FLOATS[:0])], points=count)[:140]
    head += struct.pack("<IHHQ", 16, 1, 4, 4 * count)
    size = 16 + len(head) + 4 * count
    return place(folder, "a.bin", {"": (b"AG03" + struct.pack("<QI", size, 1) + head, size)}), count


def sparse_tdms(folder: Path) -> tuple[Source, int]:
    count = 5_000_000_000
    items = [
        tdms_writer.Item("/"),
        tdms_writer.Item("/'g'"),
        tdms_writer.Item(tdms_writer.channel("a"), tdms_writer.index("i2", count), tdms_writer.WAVE),
    ]
    head = bytearray(tdms_writer.segment(items, b"\x00\x00")[:-2])
    struct.pack_into("<Q", head, 12, len(head) - 28 + 2 * count)
    return place(folder, "a.tdms", {"": (bytes(head), len(head) + 2 * count)}), count


def sparse_hdf5(folder: Path) -> tuple[Source, int]:
    count = 5_000_000_000
    path = folder / "run.h5"
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        file.attrs["instrument"] = "a text of any length"
        h5py.h5d.create(file.id, b"a", h5py.h5t.STD_I16LE, h5py.h5s.create_simple((count,)), layout)
    mapping = folder / "mapping.json"
    mapping.write_text(json.dumps(MAPPING))
    size = path.stat().st_size + mapping.stat().st_size
    return Source(folder, "run", size, b"", {"run.h5": path, "mapping.json": mapping}), count


def _tiff(rows: int, columns: int, tags: Mapping[int, bytes]) -> tuple[bytes, int]:
    pixels = np.zeros((4, columns), np.uint8)
    changes = {257: [rows], 278: [rows], 279: [rows * columns]}
    head = tiff_writer.tiff(pixels, tags, changes=changes)[: -pixels.size]
    return head, len(head) + rows * columns


def sparse_image(folder: Path) -> tuple[Source, int]:
    rows, columns = 70_000, 60_000
    return place(folder, "a.tif", {"": _tiff(rows, columns, {34682: tiff_writer.fei()})}), rows * columns


def sparse_map(folder: Path) -> tuple[Source, int]:
    """Maps are read in memory, and so refused above 512 MiB."""
    rows, columns = 26_000, 20_000
    sidecar = json.dumps(MAP).encode()
    files = {"map.json": (sidecar, len(sidecar)), "m.tif": _tiff(rows, columns, {})}
    return place(folder, "map", files), rows * columns


def sparse_pair(folder: Path) -> tuple[Source, int]:
    count = 2_000_000_000
    lengths = {"RecordLength": str(count), "SignalHardwareRecordLength": str(count)}
    settings, payload = writers.rohde_schwarz(FLOATS, 0, **lengths, XStop=repr(-1e-6 + count * 1e-9))
    head = payload[:4] + struct.pack("<I", count)
    files = {"a.bin": (settings, len(settings)), "a.Wfm.bin": (head, 8 + 4 * count)}
    return place(folder, "pair", files), count


SPARSE: dict[str, Callable[[Path], tuple[Source, int]]] = {
    "photometer": sparse_photometer,
    "lecroy_trc": sparse_lecroy,
    "tektronix_isf": sparse_isf,
    "tektronix_wfm": sparse_tektronix,
    "float_container": sparse_container,
    "tdms": sparse_tdms,
    "hdf5": sparse_hdf5,
    "fibsem_image": sparse_image,
    "signal_map": sparse_map,
    "rohde_schwarz_pair": sparse_pair,
}
"""For each adapter of ``Reach.HEADER``: writes a file below a folder, and returns it with the count it declares."""
