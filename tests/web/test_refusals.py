"""What people see when something is refused, missing or broken: a page with the way on, never a bare document."""

import pytest
from fastapi.testclient import TestClient

from db.repositories import attention
from tests.web.conftest import Browser, Console, check_html

PAGE = {"accept": "text/html,application/xhtml+xml"}


def read(browser: Browser, path: str, status: int) -> str:
    answer = browser.client.get(path, headers=PAGE, follow_redirects=False)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    check_html(answer.text)
    assert f"Status {status}" in answer.text
    return str(answer.text)


def test_an_address_that_nobody_answers_is_a_page_with_the_navigation(console: Console) -> None:
    text = read(console.person("viewer"), "/nothing/here", 404)
    assert "Nothing is at this address" in text
    assert '<nav aria-label="Main">' in text
    assert '<nav aria-label="Main">' not in read(console.browser(), "/nothing", 404)


def test_a_row_that_is_not_there_is_a_page(console: Console) -> None:
    assert "no member" in read(console.person("viewer"), "/jobs/01a22e99-70e9-7000-be38-09400448f59d", 404)


def test_an_address_for_forms_alone_says_so(console: Console) -> None:
    read(console.person("viewer"), "/sign-out", 405)


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing"])
def test_programs_get_a_document(console: Console, path: str) -> None:
    headers = PAGE if path.startswith("/api") else {"accept": "*/*"}
    answer = TestClient(console.api.app).get(path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_what_a_role_does_not_allow_is_told_in_terms_of_the_role(console: Console) -> None:
    text = read(console.person("viewer"), "/admin", 403)
    assert "Your role does not allow this" in text
    assert "/cases" in text


def test_a_filter_that_makes_no_sense_leads_back_to_the_list(console: Console) -> None:
    assert '<a class="button" href="/jobs">' in read(console.person("viewer"), "/jobs?state=odd", 422)


def test_a_mistake_of_the_service_is_a_page_with_the_number_of_the_request(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(attention, "look", fail)
    text = read(console.person("viewer"), "/", 500)
    assert "See the log of request" in text
    assert "ZeroDivisionError" not in text
