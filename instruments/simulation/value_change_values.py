"""Values of a dump as ``DigitalTrace`` has them: bits of full width, reals, strings without escapes."""

import re

ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def normalize_value(text: str, kind: str, width: int) -> str:
    """Return a raw value (with its ``b``, ``r`` or ``s``, if any) as ``DigitalTrace.values`` has it.

    Args:
        text: for example ``b01x``, ``r1.5``, ``sIDLE`` or a bare ``1``.
        kind: ``"real"``, ``"string"`` or anything else for bits.
        width: bits of the variable.

    Raises:
        ValueError: the value does not suit the variable.
    """
    letter = text[0]
    if kind == "string":
        if letter not in "sS":
            raise ValueError("not a string")
        return ESCAPE.sub(_unescape, text[1:])
    if kind == "real":
        if letter not in "rR" or "_" in text:
            raise ValueError("not a real")
        return repr(float(text[1:]))
    if letter in "sSrR":
        raise ValueError("not bits")
    bits = (text[1:] if letter in "bB" else text).lower()
    if not bits or not set(bits) <= set("01xzuwlh-"):
        raise ValueError("not bits")
    if len(bits) > width:
        raise ValueError(f"{len(bits)} bits for {width}")
    if len(bits) == width:
        return bits
    fill = {"0": "0", "1": "0", "x": "x", "z": "z"}.get(bits[0])
    if fill is None:
        raise ValueError(f"{len(bits)} bits for {width}, and {bits[0]} is not extended")
    return bits.rjust(width, fill)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return ESCAPED.get(code, code)
