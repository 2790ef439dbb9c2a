"""Libraries that some formats need, loaded once by the reading server instead of again for every file.

Adapters load them where a file needs them, in the child that reads it: 0.03 to 0.9 s each, for every file of such a
format. A child notes which it has loaded; the server, which knows this list and takes no name from a child, then loads
them itself, and the children after that are forked with them. What is never read is never loaded, and costs no fork.
"""

import contextlib
import gc
import importlib
import mmap
import sys

LIBRARIES = (
    "instruments.table_codec",
    "pyarrow.parquet",
    "h5py",
    "nptdms",
    "nptdms.scaling",
    "numpy.strings",
    "tifffile",
    "pywellen",
    "defusedxml.ElementTree",
    "instruments.simulation.verilog_elaboration",
    "klayout.db",
    "RigolWFM.wfm",
    "RigolWFM.rohde_schwarz",
)
"""What adapters import inside functions. None may leave a thread behind: a process with threads must not fork."""

ENVIRONMENT = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")},
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MPLBACKEND": "agg",
}
"""Variables without which these libraries start threads, or look for a screen."""


class NeededLibraries:
    """Which libraries readings have needed: one byte each, in memory that a server shares with its children."""

    def __init__(self) -> None:
        self._needed = mmap.mmap(-1, len(LIBRARIES))

    def note(self) -> None:
        """Note which libraries this process has loaded."""
        for index, name in enumerate(LIBRARIES):
            if name in sys.modules:
                self._needed[index] = 1

    def load(self) -> None:
        """Load those that were noted; one that cannot be loaded is left to the readings that need it."""
        missing = [name for index, name in enumerate(LIBRARIES) if self._needed[index] == 1 and name not in sys.modules]
        for name in missing:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        if missing:
            freeze()


def freeze() -> None:
    """Keep everything that lives now out of the children's garbage collections, which would copy its pages."""
    gc.collect()
    gc.freeze()
