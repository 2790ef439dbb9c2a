"""A console on a fresh database, without a browser."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from sqlalchemy import select

from db.repositories import console_access
from db.schema import people
from services.web import passwords
from tests.api.conftest import (
    Api,
    api,
    quiet_logs,
    settings,
    shared_app,
    start_api,
)
from tests.api.population import add_program, add_row, populate
from tests.web.reliability_rows import add_reliability
from tests.web.running_fab import fab

__all__ = ["api", "fab", "quiet_logs", "settings", "shared_app", "start_api"]

PASSWORD = "correct horse battery"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class _Checker(HTMLParser):
    """Raises AssertionError for elements that are not closed in order, and for ids that come twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute comes twice in {tag}: {attrs}"
        assert not [name for name in values if name.startswith("on")], f"inline script in {tag}"
        assert "style" not in values, f"inline style in {tag}"
        if (identity := values.get("id")) is not None:
            assert identity not in self.ids, f"the id {identity} comes twice"
            self.ids.add(identity)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


def check_html(text: str) -> None:
    """Raise AssertionError unless the page is well-formed, without inline scripts and styles."""
    checker = _Checker()
    checker.feed(text)
    checker.close()
    assert not checker.open, f"not closed: {checker.open}"
    assert "<script>" not in text


@dataclass
class Browser:
    """A person at the console: cookies and the forgery token of the last page."""

    client: TestClient
    forgery: str = ""

    def get(self, path: str, **rest: object) -> httpx.Response:
        answer = self.client.get(path, follow_redirects=False, **rest)
        self._learn(answer)
        return answer

    def post(self, path: str, **fields: str) -> httpx.Response:
        answer = self.client.post(path, data={"forgery": self.forgery, **fields}, follow_redirects=False)
        self._learn(answer)
        return answer

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        answer = self.post("/sign-in", name=name, password=password)
        if answer.status_code == 303:
            self.get("/")
        return answer

    def _learn(self, answer: httpx.Response) -> None:
        found = re.search(r'<meta name="forgery" content="([0-9a-f]+)">', answer.text)
        if found:
            self.forgery = found[1]


@dataclass
class Console:
    """The application with the program ``alpha`` and people who can sign in."""

    api: Api
    program: uuid.UUID
    hashed: str

    def browser(self) -> Browser:
        return Browser(TestClient(self.api.app, raise_server_exceptions=False))

    def add_person(self, name: str, role: str | None, *, admin: bool = False, program: uuid.UUID | None = None) -> None:
        engine = self.api.engine
        account = add_row(engine, people.account, name=name)
        if role is not None:
            owner = program or self.program
            add_row(engine, people.membership, account_id=account, program_id=owner, role=role)
        with engine.begin() as connection:
            console_access.set_password(connection, account, self.hashed, "service:test")
            if admin:
                console_access.make_installation_admin(connection, account)

    def person(self, role: str | None, *, admin: bool = False, program: uuid.UUID | None = None) -> Browser:
        """Somebody new with a role, signed in."""
        name = f"{role}-{uuid.uuid4().hex[:6]}"
        self.add_person(name, role, admin=admin, program=program)
        browser = self.browser()
        assert browser.sign_in(name).status_code == 303
        return browser

    def populate(self, program: uuid.UUID | None = None) -> dict[str, uuid.UUID]:
        ids = populate(self.api.engine, self.api.state.blobs, program or self.program).ids
        return ids | add_reliability(self.api, program or self.program)

    def add_program(self, name: str) -> uuid.UUID:
        return add_program(self.api.engine, name)


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """argon2id with its least parameters: the real ones take as long as they should."""
    with pytest.MonkeyPatch.context() as patch:
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_hasher", lambda: hasher)
        yield


@pytest.fixture(scope="session")
def hashed(cheap_hashes: None) -> str:
    return passwords.hash_password(PASSWORD)


@pytest.fixture
def console(api: Api, hashed: str) -> Console:
    with api.engine.connect() as connection:
        program = connection.execute(select(people.program.c.id)).scalar_one()
    return Console(api, program, hashed)
