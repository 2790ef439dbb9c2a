"""Job logs of ion-beam and electron-beam tools: CSV, JSON lines or XML, in the vocabulary of repair steps."""

from collections.abc import Iterable

from instruments.adapter import Sniff, Source
from instruments.description import Reach
from instruments.records import Record
from instruments.repair.log_rows import read_rows
from instruments.repair.step_log import make_step_table, sniff_log
from instruments.repair.vocabulary import BEAM_COLUMNS, LASER_COLUMNS


class FibLogAdapter:
    """Reads the log of an ion or electron beam into a ``repair_step`` table."""

    name = "fib_log"
    version = "3"
    formats = ("fib-log",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for steps with beam voltage, beam current, gas, … in the first lines of ``source``."""
        return sniff_log(source, BEAM_COLUMNS, LASER_COLUMNS, "beam")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the steps of ``source``.

        Raises:
            CorruptField, UnsupportedVersion, CountMismatch, NotThisFormat, ReadingLimit: and why.
        """
        return "fib-log", (make_step_table(source, read_rows(source)),)
