"""XML from strangers: no document type, no entity, no other file is ever opened."""

from typing import Any

from instruments.errors import CorruptField


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
