"""What a host answers (SEMI E5, E30).

Everything that is SECS-II and is kept is acknowledged, what the host has no use for with ``SxF0``. Stream 9 goes from
equipment to host only, so a host has no other way to say that a message is unknown or unreadable.
"""

from collections.abc import Callable
from datetime import datetime

from instruments.errors import InstrumentError
from instruments.secs.items import Item, binary_item, decode_item, encode_item, list_item, text_item
from services.secs_host.frames import Frame, data_frame

ACCEPTED = binary_item(0)


def _accept(_: Item | None) -> Item:
    return ACCEPTED


def _tell_time(_: Item | None) -> Item:
    now = datetime.now()
    return text_item(f"{now:%Y%m%d%H%M%S}{now.microsecond // 10_000:02d}")


_ANSWERS: dict[tuple[int, int], Callable[[Item | None], Item | None]] = {
    (1, 1): lambda _: list_item(),
    (1, 13): lambda _: list_item(ACCEPTED, list_item()),
    (2, 17): _tell_time,
    (2, 25): lambda body: body,
    (5, 1): _accept,
    (5, 9): lambda _: None,
    (5, 11): lambda _: None,
    (6, 1): _accept,
    (6, 3): _accept,
    (6, 5): _accept,
    (6, 9): _accept,
    (6, 11): _accept,
    (6, 13): _accept,
    (6, 25): _accept,
    (10, 1): _accept,
}


def reply_to(frame: Frame) -> Frame | None:
    """Return the reply to a primary message that is kept; ``None`` when it wants none."""
    if not frame.wants_reply:
        return None
    answer = _ANSWERS.get((frame.stream, frame.function))
    if answer is None:
        return abort(frame)
    try:
        body = encode_item(answer(decode_item(frame.body)))
    except InstrumentError:
        return abort(frame)
    return data_frame(frame.session_id, frame.stream, frame.function + 1, frame.system_bytes, body)


def abort(frame: Frame) -> Frame:
    """Return ``SxF0``: the transaction is not carried out."""
    return data_frame(frame.session_id, frame.stream, 0, frame.system_bytes)
