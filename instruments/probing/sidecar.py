"""Sidecars: JSON documents that say what a measurement's file does not, checked key by key.

Every key is known or refused: a misspelt one would be a guess.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instruments.bundle import check_member_path
from instruments.errors import CorruptField, UnsupportedVersion, cut_value, quote_value

MAXIMUM_BYTES = 4 << 20
REQUIRED = object()
Check = Callable[[Any], bool]


def is_text(value: Any) -> bool:
    """Return whether ``value`` is a text that is not empty and not long."""
    return isinstance(value, str) and 0 < len(value) <= 4096 and "\x00" not in value


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: Any) -> bool:
    """Return whether ``value`` is a finite number above 0."""
    return is_number(value) and value > 0


def is_scale(value: Any) -> bool:
    """Return whether ``value`` is a finite number that is not 0."""
    return is_number(value) and value != 0


def is_index(value: Any) -> bool:
    """Return whether ``value`` is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def is_count(value: Any) -> bool:
    """Return whether ``value`` is a whole number from 1."""
    return is_index(value) and value > 0


def is_flag(value: Any) -> bool:
    """Return whether ``value`` is true or false."""
    return isinstance(value, bool)


class Fields:
    """The keys of one object of a sidecar; ``label`` says where it is, ``file`` what is read."""

    def __init__(self, value: Any, label: str, file: str) -> None:
        self.label = label
        self.file = file
        if not isinstance(value, dict):
            raise self.refuse("", "an object", value)
        self._left = dict(value)

    def refuse(self, key: str, expected: str, found: Any) -> CorruptField:
        """Return the error that ``key`` holds ``found`` where ``expected`` must be."""
        where = f"{self.label}.{key}".strip(".") if key else self.label
        return CorruptField(f"{where} is not right", file=self.file, expected=expected, found=quote_value(found))

    def take(self, key: str, check: Check, expected: str, default: Any = REQUIRED) -> Any:
        """Return what ``key`` holds.

        Raises:
            CorruptField: it does not pass ``check``, or is missing and there is no ``default``.
        """
        value = self._left.pop(key, None)
        if value is None:
            if default is REQUIRED:
                raise self.refuse(key, expected, None)
            return default
        if not check(value):
            raise self.refuse(key, expected, value)
        return value

    def has(self, key: str) -> bool:
        """Return whether ``key`` is there and was not taken yet."""
        return self._left.get(key) is not None

    def items(self, key: str) -> list["Fields"]:
        """Return the objects of the list ``key``; none when it is missing."""
        values = self.take(key, lambda value: isinstance(value, list) and len(value) <= 10_000, "a list", [])
        return [Fields(value, f"{self.label}.{key}[{index}]", self.file) for index, value in enumerate(values)]

    def within(self, key: str) -> "Fields":
        """Return the object ``key``, an empty one when it is missing."""
        return Fields(
            self.take(key, lambda value: isinstance(value, dict), "an object", {}), f"{self.label}.{key}", self.file
        )

    def finish(self) -> None:
        """Refuse what was not taken; ``comment`` is free.

        Raises:
            CorruptField: there is a key that nobody knows.
        """
        unknown = next((key for key in self._left if key != "comment"), None)
        if unknown is not None:
            raise CorruptField(f"{self.label}.{unknown} is not known", file=self.file, found=str(unknown)[:100])


def read_sidecar(path: Path, name: str, schema: str, file: str) -> tuple[Fields, dict[str, Any]]:
    """Return the fields of the sidecar ``path``, called ``name`` in messages, and the document as it stands.

    Raises:
        CorruptField: it is no JSON object.
        UnsupportedVersion: its schema is another than ``schema``.
    """
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        raise CorruptField(f"{name} is too large", file=file, expected=MAXIMUM_BYTES, found=size)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptField(f"{name} is no JSON: {error}", file=file) from error
    fields = Fields(document, name, file)
    found = fields.take("schema", lambda _: True, schema)
    if found != schema:
        raise UnsupportedVersion(
            f"the schema of {name} is not known", file=file, expected=schema, found=cut_value(found)
        )
    return fields, document


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def take_member(fields: Fields, key: str, members: dict[str, Path], default: str | None = None) -> str:
    """Return the path of the bundle's member that ``key`` names, or ``default``.

    Raises:
        CorruptField: the bundle has no such member.
    """
    given = fields.take(key, is_text, "a file of the bundle", default if default is not None else REQUIRED)
    member = check_member_path(str(given), fields.file)
    if member not in members:
        raise CorruptField(f"{fields.label}.{key} names {member[:100]}, which is not in the bundle", file=fields.file)
    return member
