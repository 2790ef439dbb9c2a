"""The journal of messages that the host received, as a file: JSON lines, one for each message.

The first line says whose journal it is and carries the configuration of the equipment, so that the file explains
itself; the last one counts the messages and has the sha256 of all bytes before it, so that a cut is seen:

```
{"schema":"faultlight.secs-journal/1","journal":"…","equipment":"FIB-03","segment":12,"first":5001,"map":{…}}
{"n":5001,"at":"2026-11-24T11:37:21.123456Z","connection":3,"session":0,"stream":6,"function":11,"wait":true,
 "system":"00a1b2c3","body":"AQMh…"}
{"end":true,"messages":1,"sha256":"…"}
```

``body`` is base64 of the bytes as they came. ``repeat_of`` marks the same message sent again (same system bytes, same
content), ``may_repeat`` one with the same content that may have been. Standard library alone: the host writes it.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated, UnsupportedVersion, cut_value

SCHEMA = "faultlight.secs-journal/1"
FAMILY = "faultlight.secs-journal/"
MAX_LINE_BYTES = 64 << 20


@dataclass(frozen=True)
class Received:
    """One message as it came.

    Attributes:
        number: in the journal, without gaps.
        at: when the host had it, ISO 8601, UTC.
        connection: number of the connection it came over.
        session_id, stream, function, wants_reply, system_bytes: of its header.
        body: its bytes after the header.
        repeat_of: number of the message that this one is, sent once more.
        may_repeat: number of the message with the same content that this one may be.
    """

    number: int
    at: str
    connection: int
    session_id: int
    stream: int
    function: int
    wants_reply: bool
    system_bytes: int
    body: bytes
    repeat_of: int | None = None
    may_repeat: int | None = None


@dataclass(frozen=True)
class Heading:
    """Whose journal a file is a segment of. ``map_document`` is the configuration as JSON, or ``None``."""

    journal: str
    equipment: str
    segment: int
    first: int
    map_document: Mapping[str, Any] | None


def write_journal(heading: Heading, messages: Iterable[Received], file: BinaryIO) -> None:
    """Write one segment to ``file``; the same messages give the same bytes."""
    digest = hashlib.sha256()
    count = 0

    def write(document: dict[str, Any]) -> None:
        line = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        digest.update(line)
        file.write(line)

    write(
        {
            "schema": SCHEMA,
            "journal": heading.journal,
            "equipment": heading.equipment,
            "segment": heading.segment,
            "first": heading.first,
            "map": heading.map_document,
        }
    )
    for message in messages:
        write(_to_document(message))
        count += 1
    end = {"end": True, "messages": count, "sha256": digest.hexdigest()}
    file.write(json.dumps(end, separators=(",", ":")).encode() + b"\n")


def _to_document(message: Received) -> dict[str, Any]:
    document: dict[str, Any] = {
        "n": message.number,
        "at": message.at,
        "connection": message.connection,
        "session": message.session_id,
        "stream": message.stream,
        "function": message.function,
        "wait": message.wants_reply,
        "system": f"{message.system_bytes:08x}",
        "body": base64.b64encode(message.body).decode("ascii"),
    }
    if message.repeat_of is not None:
        document["repeat_of"] = message.repeat_of
    if message.may_repeat is not None:
        document["may_repeat"] = message.may_repeat
    return document


def begins_journal(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a journal, of whatever version."""
    start = head[:256].lstrip()
    return start.startswith(b"{") and FAMILY.encode() in start.split(b"\n", 1)[0] and b'"schema"' in start[:32]


def read_journal(file: BinaryIO) -> tuple[Heading, Iterator[Received]]:
    """Return the heading of a journal's file and its messages, which are read as they are asked for.

    Raises:
        NotThisFormat, UnsupportedVersion: the first line is not that of such a journal.
        CorruptField, CountMismatch, Truncated: a line is damaged or missing; messages may be read before.
    """
    first_line = _read_line(file, 1)
    heading = _read_heading(first_line)
    return heading, _read_messages(file, heading, first_line)


def _read_line(file: BinaryIO, number: int) -> bytes:
    line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise CorruptField("a line is too long", offset=number, expected=MAX_LINE_BYTES, offset_unit="line")
    if not line.endswith(b"\n"):
        message = "the journal ends without its last line" if not line else "the journal ends inside a line"
        raise Truncated(message, offset=number, offset_unit="line")
    return line


def _parse_line(line: bytes, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorruptField(f"a line is no JSON: {error}", offset=number, offset_unit="line") from error
    if not isinstance(document, dict):
        raise CorruptField("a line is no JSON object", offset=number, offset_unit="line")
    return document


def _read_heading(line: bytes) -> Heading:
    try:
        document = _parse_line(line, 1)
    except CorruptField as error:
        raise NotThisFormat(
            "the first line is not the heading of a journal", found=line[:60].decode("ascii", "replace")
        ) from error
    schema = document.get("schema")
    if not isinstance(schema, str) or not schema.startswith(FAMILY):
        raise NotThisFormat(
            "the first line is not the heading of a journal", expected=SCHEMA, found=cut_value(schema, 60)
        )
    if schema != SCHEMA:
        raise UnsupportedVersion("the journal's version is not known", expected=SCHEMA, found=schema)
    fields = _Fields(document, 1)
    mapping = document.get("map")
    if mapping is not None and not isinstance(mapping, dict):
        raise fields.bad("map", "an object or null")
    return Heading(
        fields.text("journal"), fields.text("equipment"), fields.whole("segment"), fields.whole("first"), mapping
    )


def _read_messages(file: BinaryIO, heading: Heading, first_line: bytes) -> Iterator[Received]:
    digest = hashlib.sha256(first_line)
    count = 0
    while True:
        line_number = count + 2
        line = _read_line(file, line_number)
        document = _parse_line(line, line_number)
        if document.get("end") is True:
            break
        message = _to_message(document, line_number)
        if message.number != heading.first + count:
            raise CountMismatch(
                "a message is missing or in the wrong place",
                offset=line_number,
                expected=heading.first + count,
                found=message.number,
                offset_unit="line",
            )
        digest.update(line)
        count += 1
        yield message
    fields = _Fields(document, count + 2)
    if fields.whole("messages") != count:
        message_text = "the last line counts another number of messages"
        raise CountMismatch(message_text, expected=document["messages"], found=count)
    if fields.text("sha256") != digest.hexdigest():
        raise CountMismatch(
            "the bytes are not those that were written", expected=document["sha256"], found=digest.hexdigest()
        )
    if file.read(1):
        raise CorruptField("something follows the last line", offset=count + 3, offset_unit="line")


class _Fields:
    """The fields of a line, each of the type it must have."""

    def __init__(self, document: dict[str, Any], line_number: int) -> None:
        self._document = document
        self._line_number = line_number

    def bad(self, name: str, expected: str) -> CorruptField:
        """Return the error that says so."""
        found = cut_value(self._document.get(name), 60)
        return CorruptField(
            f"{name} is not right", offset=self._line_number, expected=expected, found=found, offset_unit="line"
        )

    def text(self, name: str) -> str:
        """Return text that is not empty."""
        value = self._document.get(name)
        if not isinstance(value, str) or not value:
            raise self.bad(name, "text")
        return value

    def whole(self, name: str, limit: int = 1 << 62) -> int:
        """Return a whole number of 0 to ``limit``."""
        value = self._document.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
            raise self.bad(name, f"a whole number up to {limit}")
        return value

    def earlier(self, name: str, number: int) -> int | None:
        """Return the number of an earlier message, where there is one."""
        if name not in self._document:
            return None
        value = self.whole(name)
        if value >= number:
            raise self.bad(name, f"a number below {number}")
        return value


def _to_message(document: dict[str, Any], line_number: int) -> Received:
    fields = _Fields(document, line_number)
    number = fields.whole("n")
    try:
        at = fields.text("at")
        if datetime.fromisoformat(at).tzinfo is None:
            raise fields.bad("at", "a time with a zone")
    except ValueError as error:
        raise fields.bad("at", "an ISO 8601 time") from error
    try:
        body = base64.b64decode(document["body"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise fields.bad("body", "base64") from error
    system = fields.text("system")
    if len(system) != 8 or any(each not in "0123456789abcdef" for each in system):
        raise fields.bad("system", "8 hexadecimal digits")
    if not isinstance(document.get("wait"), bool):
        raise fields.bad("wait", "true or false")
    return Received(
        number=number,
        at=at,
        connection=fields.whole("connection"),
        session_id=fields.whole("session", 0xFFFF),
        stream=fields.whole("stream", 127),
        function=fields.whole("function", 255),
        wants_reply=document["wait"],
        system_bytes=int(system, 16),
        body=body,
        repeat_of=fields.earlier("repeat_of", number),
        may_repeat=fields.earlier("may_repeat", number),
    )
