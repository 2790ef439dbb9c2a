"""XML from strangers: no document type, no entity, no other file is ever opened."""

import codecs
import re
from typing import Any

from instruments.errors import CorruptField

_DECLARED = re.compile(r"""(<\?xml[^>]*?)\s+encoding\s*=\s*(?:"[^"]*"|'[^']*')""")


def in_single_bytes(name: str, data: bytes) -> bytes:
    """Return XML in UTF-16 with its mark as UTF-8, any other as it is; so tags can be counted in the bytes.

    Raises:
        CorruptField: it is not UTF-16 although its mark says so.
    """
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise CorruptField("the XML is damaged: it is not UTF-16", file=name, offset=error.start) from None
    return _DECLARED.sub(r"\1", text, count=1).encode("utf-8")


def parse_xml(name: str, data: bytes) -> Any:
    """Return the root element of ``data``, which came in the file ``name``.

    Raises:
        CorruptField: it is not well-formed (with the line), or has a document type or entities.
    """
    from defusedxml import DefusedXmlException, ElementTree  # noqa: PLC0415 - most files are no XML

    try:
        return ElementTree.fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise CorruptField("the XML has a document type or entities, which are not read", file=name) from None
    except ElementTree.ParseError as error:
        line = error.position[0]
        message = f"the XML is damaged: {error}"
        raise CorruptField(message, file=name, offset=line, offset_unit="line") from None
    except (LookupError, ValueError) as error:
        raise CorruptField(f"the XML is damaged: {error}", file=name) from None
