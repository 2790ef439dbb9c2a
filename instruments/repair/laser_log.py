"""Job logs of laser tools: CSV, JSON lines or XML, in the vocabulary of repair steps.

A log that names quantities of a laser and of an ion beam, as hybrid tools write it, is read here.
"""

from collections.abc import Iterable

from instruments.adapter import Sniff, Source
from instruments.description import Reach
from instruments.records import Record
from instruments.repair.log_rows import read_rows
from instruments.repair.step_log import make_step_table, sniff_log
from instruments.repair.vocabulary import BEAM_COLUMNS, LASER_COLUMNS


class LaserLogAdapter:
    """Reads a laser's log into a ``repair_step`` table."""

    name = "laser_log"
    version = "3"
    formats = ("laser-log",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for steps with wavelength, pulse, fluence, … in the first lines of ``source``."""
        return sniff_log(source, LASER_COLUMNS, BEAM_COLUMNS, "laser")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the steps of ``source``.

        Raises:
            CorruptField, UnsupportedVersion, CountMismatch, NotThisFormat, ReadingLimit: and why.
        """
        return "laser-log", (make_step_table(source, read_rows(source)),)
