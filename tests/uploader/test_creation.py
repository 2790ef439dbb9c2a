"""The answer to a creation is lost, or what it said is: no empty upload stays behind, and none counts twice."""

import os
from collections.abc import Callable

import httpx
import pytest

from services.uploader.errors import FileChanged, ServiceUnreachable
from services.uploader.journal import Journal
from services.uploader.transfer import SMALL_BYTES
from tests.api.conftest import StartApi, sha256
from tests.uploader.conftest import PROGRAM, Bench, make_bench

Deliver = Callable[[], httpx.Response]
LARGE = SMALL_BYTES + 1


def lose_answers(bench: Bench, count: int, method: str = "POST") -> None:
    """Let the service do what the next ``count`` requests want, and let nobody know."""
    left = [count]

    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        answer = deliver()
        if request.method == method and left[0]:
            left[0] -= 1
            raise httpx.ReadError("cut before the answer")
        return answer

    bench.wire.act = act


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, LARGE, 5 << 20])
def test_a_lost_answer_leaves_one_upload(bench: Bench, size: int) -> None:
    data = os.urandom(size)
    lose_answers(bench, 2)
    with bench.client() as client:
        client.upload_file(bench.write("a.bin", data), PROGRAM)
    assert set(bench.stored()) == {sha256(data)}
    assert bench.open_uploads() == 0


def test_a_process_that_dies_before_it_noted_the_answer_leaves_one_upload(bench: Bench, journal: Journal) -> None:
    path = bench.write("a.bin", os.urandom(LARGE))
    lose_answers(bench, 1)
    with bench.client(1, journal) as client, pytest.raises(ServiceUnreachable):
        client.upload_file(path, PROGRAM)
    assert bench.open_uploads() == 1
    again = Journal(bench.journal_path)
    assert again.agent_id == journal.agent_id
    with bench.client(1, again) as client:
        client.upload_file(path, PROGRAM)
    again.close()
    assert bench.open_uploads() == 0


def test_a_quota_for_one_copy_is_enough(start_api: StartApi, tmp_path: os.PathLike[str]) -> None:
    bench = make_bench(start_api(program_quota_bytes=LARGE + 100), tmp_path)  # type: ignore[arg-type]
    bench.api.call("POST", "/programs", json={"name": PROGRAM})
    lose_answers(bench, 3)
    with bench.client(5) as client:
        client.upload_file(bench.write("a.bin", os.urandom(LARGE)), PROGRAM)
    assert len(bench.stored()) == 1


def test_what_was_begun_for_a_file_that_changed_meanwhile_is_dropped(bench: Bench) -> None:
    path = bench.write("a.bin", os.urandom(LARGE))

    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        answer = deliver()
        if bench.wire.seen == ["POST"]:
            path.write_bytes(b"changed")
            raise httpx.ReadError("cut before the answer")
        return answer

    bench.wire.act = act
    with bench.client() as client, pytest.raises(FileChanged):
        client.upload_file(path, PROGRAM)
    assert bench.open_uploads() == 0


def test_two_agents_with_the_same_file_do_not_meet_in_one_upload(bench: Bench) -> None:
    path = bench.write("a.bin", os.urandom(LARGE))
    for _ in range(2):
        lose_answers(bench, 1)
        with bench.client(1) as client, pytest.raises(ServiceUnreachable):
            client.upload_file(path, PROGRAM)
    assert bench.open_uploads() == 2


def test_a_small_file_costs_one_request(bench: Bench) -> None:
    with bench.client() as client:
        for number in range(5):
            client.upload_file(bench.write(f"{number}.csv", str(number).encode()), PROGRAM)
    assert bench.wire.seen == ["POST"] * 5
    assert bench.wire.body_bytes == 5


def test_small_files_that_are_known_are_sent_no_more_than_once(bench: Bench) -> None:
    paths = [bench.write(f"{number}.csv", str(number).encode() * 1000) for number in range(5)]
    with bench.client() as client:
        for path in paths:
            client.upload_file(path, PROGRAM)
    sent = bench.wire.body_bytes
    with bench.client() as client:
        outcomes = [client.upload_file(path, PROGRAM) for path in paths]
        new = client.upload_file(bench.write("new.csv", b"new"), PROGRAM)
    assert all(outcome.known and outcome.sent_bytes == 0 for outcome in outcomes)
    assert (new.known, new.sent_bytes) == (False, 3)
    assert bench.wire.body_bytes == sent + 1000 + 3, "the first of a run, and then only what is new"
    assert bench.wire.seen == ["POST"] * 11 + ["PATCH"]


def test_damage_on_the_way_of_a_small_file_is_noticed_and_mended(bench: Bench) -> None:
    data = b"the right bytes"
    damaged: list[bool] = []

    def act(request: httpx.Request, deliver: Deliver) -> httpx.Response:
        if damaged:
            return deliver()
        damaged.append(True)
        wrong = httpx.Request(request.method, request.url, headers=request.headers, content=b"the wrong bytes")
        return bench.wire.inner.handle_request(wrong)

    bench.wire.act = act
    with bench.client() as client:
        client.upload_file(bench.write("a.bin", data), PROGRAM)
    assert set(bench.stored()) == {sha256(data)}
    assert bench.open_uploads() == 0
