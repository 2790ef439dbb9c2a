"""Where in the console a stored result is shown: every result has a page, some kinds have one of their own."""

from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]

ANSWER_PAGES = {
    "life-data": "/reliability/life",
    "screening": "/reliability/screenings",
    "degradation": "/reliability/degradations",
    "latent-risk-scoring": "/reliability/risks",
    "unit-evidence": "/reliability/evidence",
}
"""Where the answers of each kind are shown, by their id."""


def _of_session(row: Row, _payload: Row) -> str | None:
    session = row["probing_session_id"]
    if not session:
        return None
    return f"/sessions/{session}?result={row['id']}" if row["kind"] == "localize" else f"/sessions/{session}"


def _of_maps(row: Row, _payload: Row) -> str | None:
    return f"/sessions/{row['probing_session_id']}/maps?result={row['id']}" if row["probing_session_id"] else None


def _of_layout(tail: str) -> Callable[[Row, Row], str | None]:
    def place(row: Row, payload: Row) -> str | None:
        file_id = payload.get("raw_file_id")
        return f"/layouts/{file_id}{tail.format(id=row['id'])}" if file_id else None

    return place


def _of_model(row: Row, _payload: Row) -> str | None:
    version = (row["body"].get("model") or {}).get("version_id")
    return f"/reliability/models/{version}" if version else None


_PLACES: Mapping[str, Callable[[Row, Row], str | None]] = {
    "localize": _of_session,
    "simulation": _of_session,
    "anomaly": _of_maps,
    "tiles": _of_layout("?tiles={id}"),
    "overlay": _of_layout("?overlay={id}"),
    "printability": _of_layout("/printing?result={id}"),
    "latent-risk-training": _of_model,
}


def own_page(row: Row, payload: Row) -> str | None:
    """Return the page that shows the result ``row`` best; ``payload`` is its job's. ``None``: only the general one."""
    kind = row["kind"]
    if kind in ANSWER_PAGES:
        return f"{ANSWER_PAGES[kind]}/{row['id']}"
    place = _PLACES.get(kind)
    return place(row, payload) if place is not None else None


def has_scores(body: Mapping[str, Any]) -> bool:
    """Return whether the scores of every part or unit are kept beside an answer."""
    return "blob_key" in (body.get("scores") or {})
