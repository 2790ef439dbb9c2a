"""Columns that vendors name: a name, a unit in it or beside it, and the column of a vocabulary that it means.

``Depth [µm]``, ``depth_um``, ``depth`` with a unit of its own, all mean ``depth_nm``. A quantity without a unit is
not guessed: it stays outside the vocabulary under the vendor's name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from instruments.errors import CorruptField
from instruments.units import NAME_ENDINGS, Unit, convert, unit_of
from instruments.vocabulary import Vocabulary

_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]*)[\])]\s*$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s\-./]+")
_LONGEST_ENDING = 2


@dataclass(frozen=True)
class Meaning:
    """What a vendor's column means.

    Attributes:
        column: of the vocabulary; ``""`` for a column outside it.
        given: the unit that the file gives, ``None`` for none.
        wanted: the unit of the vocabulary's column, ``None`` for none.
        unit_text: the unit as the file writes it.
        warning: what is doubtful about it, or ``""``.
        possible: the columns that it may mean if its values carry units of their own.
    """

    column: str
    given: Unit | None = None
    wanted: Unit | None = None
    unit_text: str = ""
    warning: str = ""
    possible: tuple[str, ...] = ()

    def scaled(self, value: float) -> float:
        """Return ``value`` in the unit of the vocabulary."""
        return value if self.given is None or self.wanted is None else convert(value, self.given, self.wanted)


@dataclass(frozen=True)
class Headings:
    """The names by which vendors call the columns of a vocabulary.

    Attributes:
        vocabulary: whose columns they mean; a column ``depth_nm`` is also called ``depth`` with any unit of length.
        aliases: other names, lower case with ``_`` between words, without unit, to the names of columns that they may
            mean; the unit decides between several.
    """

    vocabulary: Vocabulary
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def meaning(self, heading: str, unit_text: str = "", file: str = "") -> Meaning:
        """Return what ``heading`` means; ``unit_text`` is the unit that stands beside it.

        Raises:
            UnsupportedVersion: its unit is not known.
            CorruptField: its unit measures something else than the column.
        """
        name, given_text = split_heading(heading)
        units = self._units
        given_text = unit_text or given_text or units.get(name, "")
        columns = self._columns(name)
        if not columns and not given_text:
            shorter, ending = split_ending(name)
            columns = self._columns(shorter)
            given_text = ending if columns else ""
        if not columns:
            return Meaning("", unit_text=given_text)
        wanted = {column: units[column] for column in columns}
        if not given_text:
            plain = next((column for column in columns if not wanted[column]), None)
            if plain is not None:
                return Meaning(plain)
            warning = f"the column {heading} has no unit and is kept as it stands"
            return Meaning("", warning=warning, possible=columns)
        given = unit_of(given_text, f"the column {heading}", file)
        for column in columns:
            if wanted[column]:
                target = unit_of(wanted[column], column)
                if target.dimension == given.dimension:
                    return Meaning(column, given, target, given_text)
        message = f"the column {heading} is not measured in {given.symbol}"
        expected = " or ".join(wanted[column] or "no unit" for column in columns)
        raise CorruptField(message, file=file, expected=expected, found=given_text)

    def _columns(self, name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._own.get(name, ()), *self.aliases.get(name, ()))))

    @cached_property
    def _units(self) -> dict[str, str]:
        """The unit of each column of the vocabulary."""
        return {column.name: column.unit for column in self.vocabulary.columns}

    @cached_property
    def _own(self) -> dict[str, list[str]]:
        """The columns that have a name, or have it before their unit, by that name."""
        named: dict[str, list[str]] = {}
        for column in self.vocabulary.columns:
            for name in {column.name, split_ending(column.name)[0] if column.unit else column.name}:
                named.setdefault(name, []).append(column.name)
        return named


def split_heading(heading: str) -> tuple[str, str]:
    """Return the name in lower case with ``_`` between words, and the unit in brackets after it, or ``""``."""
    match = _BRACKETS.match(heading)
    name, unit = (match["name"], match["unit"]) if match else (heading, "")
    return _BETWEEN.sub("_", _CAMEL.sub("_", name.strip())).strip("_").lower(), unit.strip()


def split_ending(name: str) -> tuple[str, str]:
    """Return the name without the unit that it ends with, and that unit, or ``""``: ``("fluence", "j_cm2")``."""
    words = name.split("_")
    for count in range(_LONGEST_ENDING, 0, -1):
        ending = "_".join(words[-count:])
        if len(words) > count and ending in NAME_ENDINGS:
            return "_".join(words[:-count]), ending
    return name, ""
