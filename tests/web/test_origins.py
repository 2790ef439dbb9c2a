"""Where the rows of a page come from: file, reader, when, by whom, as far as the viewer may know."""

import re
import uuid

import pytest
from sqlalchemy import select, update

from db.repositories import audit
from db.repositories.audit import AuditEntry
from db.schema import cases, files
from tests.web.conftest import Console, check_html

PAGES = ("/waveforms", "/waveforms?id={waveform_id}", "/maps", "/maps/{map_file_id}", "/sessions/{session_id}")


@pytest.fixture
def ids(console: Console) -> dict[str, uuid.UUID]:
    """One of everything; its files were read by a version of an adapter and sent by ada."""
    ids = console.populate()
    with console.api.engine.begin() as connection:
        connection.execute(update(files.raw_file).values(adapter="lecroy", adapter_version="7"))
        for identity in connection.execute(select(files.raw_file.c.id)).scalars().all():
            entry = AuditEntry("file.received", "raw_file", identity, console.program)
            audit.record(connection, "account:ada", None, entry)
    return ids


@pytest.mark.parametrize("path", PAGES)
def test_a_page_tells_the_file_its_reader_and_who_sent_it(
    console: Console, ids: dict[str, uuid.UUID], path: str
) -> None:
    text = console.person("engineer").get(path.format(**ids)).text
    check_html(text)
    told = text[text.index("Where this comes from") :]
    assert re.search(r'href="/(api/v1/)?(file|bundle)s/', told)
    if path != "/sessions/{session_id}":
        assert "lecroy version 7" in told
        assert re.search(r"<td>ada</td>", told)
        assert re.search(r'<code title="[0-9a-f]{64}">[0-9a-f]{12}</code>', told)


def test_steps_and_samples_of_a_case_say_who_recorded_them_and_lead_to_the_audit_trail(
    console: Console, ids: dict[str, uuid.UUID]
) -> None:
    path = f"/cases/{ids['case_id']}"
    administrator = console.person("admin")
    text = administrator.get(path).text
    check_html(text)
    with console.api.engine.connect() as connection:
        children = [connection.execute(select(table.c.id)).scalars().all() for table in (
            cases.case_step, cases.case_sample, cases.case_evidence)]  # fmt: skip
    for identity in [ids["case_id"], *(each for found in children for each in found)]:
        assert f'href="/admin/audit?subject={identity}"' in text
    assert "; recorded " in text
    assert "/admin/audit" not in console.person("engineer").get(path).text
    assert administrator.get(f"/admin/audit?subject={children[0][0]}").status_code == 200
