"""HSMS messages (SEMI E37) on the wire: four bytes of length, ten of header, the body."""

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER_BYTES = 10
CONTROL_SESSION = 0xFFFF
_HEADER = struct.Struct(">HBBBBI")


class SType(IntEnum):
    """What kind of message it is."""

    DATA = 0
    SELECT_REQ = 1
    SELECT_RSP = 2
    DESELECT_REQ = 3
    DESELECT_RSP = 4
    LINKTEST_REQ = 5
    LINKTEST_RSP = 6
    REJECT_REQ = 7
    SEPARATE_REQ = 9


class Rejection(IntEnum):
    """Why a message is rejected."""

    STYPE_NOT_SUPPORTED = 1
    PTYPE_NOT_SUPPORTED = 2
    TRANSACTION_NOT_OPEN = 3
    NOT_SELECTED = 4


class LineBroken(Exception):  # noqa: N818
    """The connection cannot go on; ``str`` is the reason in words."""


class BadFrame(LineBroken):
    """What comes over the connection is not HSMS, or stops in the middle of a message."""


@dataclass(frozen=True)
class Frame:
    """One message: the fields of its header, and its body."""

    session_id: int
    byte_2: int
    byte_3: int
    p_type: int
    s_type: int
    system_bytes: int
    body: bytes = b""

    @property
    def stream(self) -> int:
        """Stream of a data message."""
        return self.byte_2 & 0x7F

    @property
    def function(self) -> int:
        """Function of a data message."""
        return self.byte_3

    @property
    def wants_reply(self) -> bool:
        """Whether a data message asks for a reply (W-bit)."""
        return self.byte_2 >= 0x80

    @property
    def is_primary(self) -> bool:
        """Whether a data message opens a transaction."""
        return self.function % 2 == 1

    @property
    def name(self) -> str:
        """How people call a data message, for example ``S6F11``."""
        return f"S{self.stream}F{self.function}"


def data_frame(
    session_id: int, stream: int, function: int, system_bytes: int, body: bytes = b"", *, wants_reply: bool = False
) -> Frame:
    """Return a data message."""
    return Frame(session_id, stream | (0x80 if wants_reply else 0), function, 0, SType.DATA, system_bytes, body)


def control_frame(s_type: SType, system_bytes: int, status: int = 0, byte_2: int = 0) -> Frame:
    """Return a control message; ``status`` is of a response, or the reason of a rejection."""
    return Frame(CONTROL_SESSION, byte_2, status, 0, s_type, system_bytes)


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of ``frame``, length first."""
    header = _HEADER.pack(frame.session_id, frame.byte_2, frame.byte_3, frame.p_type, frame.s_type, frame.system_bytes)
    return (HEADER_BYTES + len(frame.body)).to_bytes(4) + header + frame.body


def decode_frame(content: bytes) -> Frame:
    """Return the message whose bytes after the length are ``content``, at least ten."""
    session_id, byte_2, byte_3, p_type, s_type, system_bytes = _HEADER.unpack_from(content)
    return Frame(session_id, byte_2, byte_3, p_type, s_type, system_bytes, content[HEADER_BYTES:])


async def read_frame(reader: asyncio.StreamReader, max_bytes: int, t8_s: float) -> Frame | None:
    """Return the next message, or ``None`` when the other side has closed between two messages.

    Inside a message no gap may be longer than ``t8_s``. After a length that cannot be, nothing that follows can be
    told apart, so the connection is lost.

    Raises:
        BadFrame: the length is below that of a header or above ``max_bytes``; the message stops; T8 has run out.
    """
    first = await reader.read(1)
    if not first:
        return None
    length = int.from_bytes(first + await _read_exactly(reader, 3, t8_s))
    if not HEADER_BYTES <= length <= max_bytes:
        raise BadFrame(f"a message says it has {length} bytes, {HEADER_BYTES} to {max_bytes} can be")
    return decode_frame(await _read_exactly(reader, length, t8_s))


async def _read_exactly(reader: asyncio.StreamReader, count: int, t8_s: float) -> bytes:
    pieces = []
    missing = count
    while missing:
        try:
            async with asyncio.timeout(t8_s):
                piece = await reader.read(min(missing, 1 << 18))
        except TimeoutError as error:
            raise BadFrame(f"T8: {t8_s} s without a byte inside a message") from error
        if not piece:
            raise BadFrame(f"the connection ended inside a message, {missing} bytes before its end")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
