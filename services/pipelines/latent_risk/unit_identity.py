"""Which unit a record speaks of, by one rule; what does not say it clearly is refused, never guessed.

A unit is a *die* where lot, wafer, column and row are known, counted as testers' logs count them; otherwise a *serial*
within its lot. A record with both (an outcome of a packaged part that names its die) traces the serial to the die: from
then on both are one unit. A serial without a lot is that of the only lot in which some record knows it. Names are
compared letter by letter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

RULE = (
    "a die by lot, wafer, column and row as testers' logs count them, else a serial within its lot; a record with both "
    "traces the serial to the die; a serial without a lot is that of the only lot that knows it; else refused"
)


class UnitRefused(ValueError):  # noqa: N818
    """A record does not say clearly which unit it speaks of; the message says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a record says of its unit; texts are empty and places ``None`` where it says nothing.

    ``doubt`` is why it cannot be told which unit is meant, where that is known already.
    """

    lot: str = ""
    wafer: str = ""
    x: int | None = None
    y: int | None = None
    serial: str = ""
    doubt: str = ""

    @property
    def die(self) -> tuple[str, str, int, int] | None:
        """Lot, wafer, column and row, ``None`` where one is missing."""
        if not self.lot or not self.wafer or self.x is None or self.y is None:
            return None
        return self.lot, self.wafer, self.x, self.y


@dataclass(frozen=True, slots=True, order=True)
class UnitName:
    """A unit: a die, or a serial with its lot (empty where no record names one)."""

    lot: str
    wafer: str = ""
    x: int = 0
    y: int = 0
    serial: str = ""

    @property
    def text(self) -> str:
        """``lot/wafer/x/y``, ``lot/serial`` or ``serial``; a slash or per cent sign within a name is quoted."""
        if self.serial:
            return "/".join(_plain(part) for part in (self.lot, self.serial) if part)
        return f"{_plain(self.lot)}/{_plain(self.wafer)}/{self.x}/{self.y}"


def _plain(name: str) -> str:
    return name if "/" not in name and "%" not in name else quote(name, safe=" ")


class Identities:
    """The units of all records together: what they say must be learned before any is named."""

    def __init__(self, claims: Iterable[Claim], shared_lots: Iterable[str] = ()) -> None:
        self._dies: dict[tuple[str, str], set[UnitName]] = {}
        self._serials: dict[UnitName, set[str]] = {}
        self._lots: dict[str, set[str]] = {}
        self._shared = frozenset(shared_lots)
        for claim in claims:
            self._learn(claim)

    def _learn(self, claim: Claim) -> None:
        if not claim.serial:
            return
        if claim.lot:
            self._lots.setdefault(claim.serial, set()).add(claim.lot)
        if claim.die is not None:
            die = UnitName(*claim.die)
            self._dies.setdefault((claim.lot, claim.serial), set()).add(die)
            self._serials.setdefault(die, set()).add(claim.serial)

    def resolve(self, claim: Claim) -> UnitName:
        """Return the unit that ``claim`` means.

        Raises:
            UnitRefused: it means none, or one of several.
        """
        if claim.doubt:
            raise UnitRefused(claim.doubt)
        if claim.lot in self._shared:
            raise UnitRefused(f"the lot {claim.lot} is one of two products, and files do not say of which")
        if claim.die is not None:
            return self._checked(UnitName(*claim.die))
        if not claim.serial:
            raise UnitRefused("the record names neither a die (lot, wafer, column and row) nor a serial")
        lot = claim.lot or self._lot_of(claim.serial)
        dies = self._dies.get((lot, claim.serial), set())
        if len(dies) > 1:
            raise UnitRefused(f"the serial {claim.serial} of lot {lot} is traced to {len(dies)} dies")
        return self._checked(next(iter(dies))) if dies else UnitName(lot, serial=claim.serial)

    def _lot_of(self, serial: str) -> str:
        lots = self._lots.get(serial, set())
        if len(lots) > 1:
            named = ", ".join(sorted(lots)[:5])
            raise UnitRefused(f"the serial {serial} is in the lots {named}, and the record names none")
        lot = next(iter(lots), "")
        if lot in self._shared:
            raise UnitRefused(f"the lot {lot} is one of two products, and files do not say of which")
        return lot

    def _checked(self, die: UnitName) -> UnitName:
        serials = self._serials.get(die, set())
        if len(serials) > 1:
            raise UnitRefused(f"the die {die.text} is traced to the serials {', '.join(sorted(serials)[:5])}")
        return die
