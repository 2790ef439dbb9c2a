"""Names of layers in the layout viewer: as lines of text, filled in from a process, told where there is none."""

import html

import pytest

from services.web.layer_text import BadLayerText, names_of_process, read_layer_text, write_layer_text
from tests.web.conftest import check_html
from tests.web.test_pages import World, world

__all__ = ["world"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("68/20 met1\n67/20: li1\n", {"68/20": "met1", "67/20": "li1"}),
        ("68,20,met 1\r\n69;20;met2", {"68/20": "met 1", "69/20": "met2"}),
        ("# stream map\nmet1 drawing 68 20\nmet1 pin 68 16 # pins\n", {"68/20": "met1", "68/16": "met1 pin"}),
        ("11/0\n\n12/0 ", {}),
        ("068/020 met1\n68/20 met1", {"68/20": "met1"}),
    ],
)
def test_lines_as_people_and_layer_maps_write_them(text: str, names: dict[str, str]) -> None:
    assert read_layer_text(text) == names
    assert read_layer_text(write_layer_text([], names)) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("68/20 met1\nmet1", "Line 2 is neither '68/20 met1' nor 'met1 drawing 68 20'."),
        ("68/20 met1\n68/20 met2", "Line 2 names the layer 68/20 again, and otherwise."),
        ("1/1 a\n" * 5001, "There are more than 5000 lines."),
    ],
)
def test_a_line_that_names_no_layer_is_told(text: str, said: str) -> None:
    with pytest.raises(BadLayerText) as raised:
        read_layer_text(text)
    assert str(raised.value) == said


def test_a_process_names_what_it_knows() -> None:
    names = names_of_process("sky130")
    assert (names["68/20"], names["69/20"], names["67/20"]) == ("met1", "met2", "li1")
    assert names["68/5"] == "met1 label"


def test_layers_are_named_in_the_viewer(world: World) -> None:
    browser, layout = world.console.person("engineer"), f"/layouts/{world.ids['file_id']}"
    drawn = [{"layer": 11, "datatype": 0, "tiles": 1}, {"layer": 68, "datatype": 20, "tiles": 1}]
    world.answer("tiles", {"layers": drawn})
    page = browser.get(layout)
    check_html(page.text)
    for said in ("layer 11/0", "layer 68/20", "2 of 2 have none", "nobody has"):
        assert said in page.text, said
    filled = browser.get(f"{layout}?fill=sky130")
    check_html(filled.text)
    assert "11/0\n68/20 met1</textarea>" in filled.text
    assert "process sky130" in filled.text
    assert browser.get(f"{layout}?fill=none").status_code == 404
    named = browser.post(f"{layout}/layer-names", names="68/20 <met1>\r\n11/0", source="map C", revision="0")
    assert named.headers["location"] == f"{layout}#layer-names"
    text = browser.get(layout).text
    check_html(text)
    for said in ("&lt;met1&gt; <span", "layer 11/0", "1 of 2 have none", "from map C"):
        assert said in text, said
    stale = browser.post(f"{layout}/layer-names", names="", revision="0")
    assert stale.status_code == 409
    wrong = browser.post(f"{layout}/layer-names", names="met1", revision="1")
    assert wrong.status_code == 422
    assert "Line 1 is neither" in html.unescape(wrong.text)
    viewer = world.console.person("viewer")
    assert "Name the layers" not in viewer.get(layout).text
    assert viewer.post(f"{layout}/layer-names", names="", revision="1").status_code == 403
