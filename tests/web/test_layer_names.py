"""Names of layers in the layout viewer: as lines of text, filled in from a process, told where there is none."""

import html
import uuid

import pytest
from sqlalchemy import insert, select

from db.identifiers import uuid7
from db.schema import files, people
from db.schema.layers import layer_names
from services.web.layer_text import BadLayerText, names_of_process, read_layer_text, write_layer_text
from tests.api.population import add_row
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


def test_names_are_taken_from_another_layout_of_the_program(world: World) -> None:
    browser, layout = world.console.person("engineer"), f"/layouts/{world.ids['file_id']}"
    world.answer("tiles", {"layers": [{"layer": each, "datatype": 0, "tiles": 1} for each in (11, 12, 13)]})
    other = add_row(
        world.console.api.engine, files.raw_file, program_id=world.console.program, filename="old <1>.gds",
        size_bytes=1, sha256="0" * 64, blob_key="raw/none", state="stored", format="gdsii",
    )  # fmt: skip
    assert "Take the names of" not in browser.get(layout).text
    lines = "11/0 poly\n12/0 contact\n99/0 not drawn"
    assert browser.post(f"/layouts/{other}/layer-names", names=lines, revision="0").status_code == 303
    assert browser.post(f"{layout}/layer-names", names="12/0 our own", revision="0").status_code == 303
    offered = browser.get(layout).text
    check_html(offered)
    assert f'names_of={other}#layer-names">old &lt;1&gt;.gds</a> <span class="faint">(3)</span> for layers' in offered
    filled = browser.get(f"{layout}?names_of={other}").text
    check_html(filled)
    assert "11/0 poly\n12/0 our own\n13/0</textarea>" in filled
    assert 'value="names of old &lt;1&gt;.gds"' in filled
    assert "layer 11/0" in filled  # nothing is named before the form is sent
    for strange in (world.foreign_ids["file_id"], uuid.uuid4(), "none"):
        assert browser.get(f"{layout}?names_of={strange}").status_code == 404


def test_names_are_not_carried_from_one_program_into_another(world: World) -> None:
    world.answer("tiles", {"layers": [{"layer": 11, "datatype": 0, "tiles": 1}]})
    with world.console.api.engine.begin() as connection:
        row = {"program_id": world.foreign, "names": {"11/0": "secret"}, "set_by": "account:eve"}
        connection.execute(insert(layer_names).values(raw_file_id=world.foreign_ids["file_id"], **row))
    name = "of-both-programs"
    world.console.add_person(name, "engineer")
    with world.console.api.engine.begin() as connection:
        account = connection.execute(select(people.account.c.id).where(people.account.c.name == name)).scalar_one()
        member = {"account_id": account, "program_id": world.foreign, "role": "engineer"}
        connection.execute(insert(people.membership).values(id=uuid7(), **member))
    of_both = world.console.browser()
    assert of_both.sign_in(name).status_code == 303
    layout = f"/layouts/{world.ids['file_id']}"
    assert of_both.get(f"/files/{world.foreign_ids['file_id']}").status_code == 200
    assert "Take the names of" not in of_both.get(layout).text
    refused = of_both.get(f"{layout}?names_of={world.foreign_ids['file_id']}")
    assert refused.status_code == 404
    assert "of the same program" in refused.text
    assert "secret" not in refused.text
