"""Pages from templates, with the headers that keep foreign scripts out."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from services.web.assets import asset_path
from services.web.formatting import FILTERS

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Not no-referrer: with that a browser hides from this very service where its own forms come from.
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


@cache
def templates() -> Environment:
    """Return the environment of the templates; a name that is not there is an error, never an empty string."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals["asset"] = asset_path
    return made


def answer_page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page of ``template``."""
    text = templates().get_template(template).render(values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)
