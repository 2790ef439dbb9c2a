"""XML of wafer maps: read whole without document types, elements by their local names, counted in the raw bytes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from instruments import text_lines
from instruments.adapter import Source
from instruments.electrical.wafer_grid import MAX_BYTES
from instruments.errors import CorruptField, NotThisFormat, ReadingLimit, UnsupportedVersion
from instruments.guarded_xml import in_single_bytes, parse_xml

MAX_DEPTH = 30
_NOISE = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)


def load_xml(source: Source, root_names: frozenset[str]) -> tuple[Any, bytes]:
    """Return the root element of ``source``, whose local name is one of ``root_names``, and the bytes.

    Raises:
        ReadingLimit, NotThisFormat, UnsupportedVersion, CorruptField: and why.
    """
    if source.size_bytes > MAX_BYTES:
        message = "the map is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    data = in_single_bytes(source.name, source.path.read_bytes())
    if b"\x00" in data[:64]:
        message = "the map is in an encoding of two bytes without a mark, which is not read"
        raise UnsupportedVersion(message, file=source.name)
    if not data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise NotThisFormat("the file is no XML", file=source.name)
    root = parse_xml(source.name, data)
    if local(root) not in root_names:
        message = "the XML is of another kind"
        raise NotThisFormat(message, file=source.name, expected=" or ".join(sorted(root_names)), found=local(root)[:60])
    return root, data


def local(element: Any) -> str:
    """Return the element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children(element: Any, name: str) -> Iterator[Any]:
    """Yield the elements called ``name`` that are directly in ``element``."""
    return (child for child in element if local(child) == name)


def descendants(element: Any, name: str) -> Iterator[Any]:
    """Yield ``element`` and the elements below it that are called ``name``."""
    return (child for child in element.iter() if local(child) == name)


def attributes(element: Any) -> dict[str, str]:
    """Return the element's attributes by their local names."""
    return {key.rpartition("}")[2]: value for key, value in element.attrib.items()}


def attribute(given: Mapping[str, str], name: str) -> str:
    """Return an attribute whatever the case of its name, ``""`` when it is missing."""
    exact = given.get(name)
    if exact is not None:
        return exact
    return next((value for key, value in given.items() if key.lower() == name.lower()), "")


def describe(source: Source, element: Any, depth: int = 0) -> dict[str, Any]:
    """Return the element verbatim as what JSON can hold; raises CorruptField when it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise CorruptField(f"{local(element)} is nested too deeply", file=source.name, expected=MAX_DEPTH)
    made: dict[str, Any] = {"name": local(element), "attributes": attributes(element)}
    text = (element.text or "").strip()
    if text:
        made["text"] = text
    inner = [describe(source, child, depth + 1) for child in element]
    return made | ({"children": inner} if inner else {})


def count_tags(data: bytes, name: str) -> int:
    """Return how many elements called ``name`` begin in the raw bytes outside comments and CDATA."""
    return len(re.findall(rb"<(?:[\w.-]+:)?" + name.encode() + rb"(?=[\s>/])", _NOISE.sub(b"", data)))


def whole_number(source: Source, text: str, what: str) -> int | None:
    """Return the count that ``text`` writes, ``None`` for an empty one; raises CorruptField when it is no count."""
    plain = text.strip()
    if not plain:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", plain):
        raise CorruptField(f"{what} is no count", file=source.name, found=plain[:60])
    return int(plain)


def quarter_turns(source: Source, text: str) -> int:
    """Return the degrees in ``text`` as 0, 90, 180 or 270; raises UnsupportedVersion when they are none of these."""
    plain = re.fullmatch(r"([+-]?[0-9]{1,4})(?:\.0*)?", text.strip())
    degrees = int(plain[1]) % 360 if plain else -1
    if degrees not in (0, 90, 180, 270):
        message = "the orientation is none of four"
        raise UnsupportedVersion(message, file=source.name, expected="0, 90, 180, 270", found=text[:60])
    return degrees


def head_text(source: Source) -> str:
    """Return the beginning of ``source`` as text, ``""`` for a bundle."""
    return text_lines.head_text(source.head) if not source.is_bundle else ""
