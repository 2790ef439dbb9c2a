"""What a cell of a table of unit evidence says of where its value comes from."""

import json
from typing import Any


def read_source(text: str) -> dict[str, Any]:
    """Return what a cell of a column ``<modality>_source`` says; text that is no JSON object is a plain name."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"source": text}
