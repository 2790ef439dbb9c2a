"""Independent readers: what they make of a file, as all values in order or as a number of things.

pystdf is GPL and vcdvcd MIT; both are of the extra ``bench`` and imported here alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Source

Outcome = NDArray[np.float64] | int


@dataclass(frozen=True)
class Oracle:
    """An independent reader: its name, and what it makes of a source: all values, or a count."""

    name: str
    read: Callable[[Source], Outcome]


def rigol_wfm(source: Source) -> Outcome:
    """All channels of RigolWFM."""
    from RigolWFM.wfm import Wfm

    path = source.members["a.bin"] if source.is_bundle else source.path
    return np.concatenate([np.asarray(channel.volts, np.float64) for channel in Wfm.from_file(str(path)).channels])


def numpy_text(source: Source) -> Outcome:
    """The second column by numpy."""
    return np.asarray(np.loadtxt(source.path, delimiter=",", skiprows=1, usecols=1), np.float64)


def nptdms(source: Source) -> Outcome:
    """All channels of npTDMS, scaled."""
    import nptdms as library

    file = library.TdmsFile.read(source.path)
    return np.concatenate([np.asarray(item[:], np.float64) for group in file.groups() for item in group.channels()])


def h5py_whole(source: Source) -> Outcome:
    """The whole dataset at once."""
    import h5py

    with h5py.File(source.members["run.h5"]) as file:
        return np.asarray(file["a"][:], np.float64)


def tifffile_pages(source: Source) -> Outcome:
    """All pages of tifffile."""
    import tifffile

    with tifffile.TiffFile(source.members["m.tif"]) as file:
        return np.concatenate([page.asarray().ravel() for page in file.pages]).astype(np.float64)


def vcdvcd(source: Source) -> Outcome:
    """The number of value changes of all identifiers."""
    from vcdvcd import VCDVCD

    return sum(len(signal.tv) for signal in VCDVCD(str(source.path)).data.values())


def gdstk(source: Source) -> Outcome:
    """The number of polygons in all cells."""
    import gdstk as library

    return sum(len(cell.polygons) for cell in library.read_gds(source.path).cells)


class _Collector:
    """What pystdf sends: the results of PTR records and the number of records of each type."""

    def __init__(self) -> None:
        self.results: list[float] = []
        self.counts: Counter[str] = Counter()

    def after_send(self, _: Any, sent: Any) -> None:
        """Take one record."""
        kind, fields = sent
        name = type(kind).__name__.upper()
        self.counts[name] += 1
        if name == "PTR":
            self.results.append(fields[5])


def pystdf(source: Source) -> Outcome:
    """The results of all PTR records, and after them the number of records of each type, by name."""
    from pystdf.IO import Parser

    collector = _Collector()
    with source.path.open("rb") as file:
        parser = Parser(inp=file)
        parser.addSink(collector)
        parser.parse()
    return _with_counts(np.asarray(collector.results, np.float64), collector.counts)


def _with_counts(values: NDArray[np.float64], counts: Mapping[str, int]) -> NDArray[np.float64]:
    return np.concatenate([values, np.asarray([counts[name] for name in sorted(counts)], np.float64)])


def values_of(adapter: str, records: tuple[Any, ...]) -> NDArray[np.float64]:
    """Return what the adapter's oracle gives, of the records that the adapter read."""
    if adapter != "stdf":
        return np.concatenate([record.values().ravel() for record in records])
    tables = {record.kind: record for record in records}
    counts = tables["test_run"].vendor_metadata["record_counts"]
    return _with_counts(tables["test_result"].columns["value_as_recorded"], counts)


ORACLES: dict[str, Oracle] = {
    "lecroy_trc": Oracle("RigolWFM", rigol_wfm),
    "tektronix_wfm": Oracle("RigolWFM", rigol_wfm),
    "tektronix_isf": Oracle("RigolWFM", rigol_wfm),
    "float_container": Oracle("RigolWFM", rigol_wfm),
    "oscilloscope": Oracle("RigolWFM", rigol_wfm),
    "rohde_schwarz_pair": Oracle("RigolWFM", rigol_wfm),
    "delimited": Oracle("numpy.loadtxt", numpy_text),
    "tdms": Oracle("npTDMS", nptdms),
    "hdf5": Oracle("h5py", h5py_whole),
    "signal_map": Oracle("tifffile", tifffile_pages),
    "value_change_dump": Oracle("vcdvcd", vcdvcd),
    "layout": Oracle("gdstk", gdstk),
    "stdf": Oracle("pystdf", pystdf),
}


def count_records(adapter: str, records: tuple[Any, ...]) -> int:
    """Return the number that the adapter's oracle counts."""
    if adapter == "value_change_dump":
        return sum(len(record.values) for record in records)
    layers = next(record for record in records if record.kind == "layout_layer")
    return int(np.sum(layers.columns["polygons"]))
