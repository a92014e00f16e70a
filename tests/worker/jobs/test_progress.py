"""worker.jobs.progress: what both sides read of a page and of a press."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from redis.exceptions import ResponseError

from tests.worker.store import key_of, stacks
from worker.jobs import progress
from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import FAILED_PAUSE, Press, Progress, read_press, read_presses, read_progress, redis_away

MARK = key_of(stacks(1)).mark


def answer(state: str, **fields: object) -> list[bytes | int]:
    """What jobs.lua answers: bytes and integers, in its order."""
    named = {"reminded": 0, "version": b"7", "place": 0, "step": b"0", "of": b"0", "preview": b"0", "mark": b""}
    named |= {"sentence": b"", "left": b"", "pace": b"", "presses": 1, "before": b""}
    return [state.encode(), *(named | fields).values()]  # type: ignore[list-item]


def test_the_estimate_comes_from_what_pages_took_lately(client: Any, consumer: JobConsumer) -> None:
    consumer.announce(Press("host:1", "ready", ("tiny",), "a rendition", "", "host", 1))

    async def work(front: JobClient) -> list[float | None]:
        await front.ask(stacks(1), "v")
        seconds = [(await front.look(stacks(1))).seconds]
        (claim,) = consumer.take("tiny")
        consumer.finish(claim, key_of(stacks(1)).mark, seconds=4)
        await front.ask(stacks(2), "v")
        await front.ask(stacks(3), "v")
        (claim,) = consumer.take("tiny")
        consumer.step(claim, 1, 4)
        return [*seconds, (await front.look(stacks(2))).seconds, (await front.look(stacks(3))).seconds]

    assert client(work) == [None, 3.0, 8.0]


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({}, None), ({"pace": b"4"}, 16.0), ({"pace": b"4", "presses": 3}, 8.0), ({"pace": b"4", "presses": 0}, None)],
)
def test_a_page_waits_for_those_before_it_shared_among_the_presses(fields: Any, seconds: float | None) -> None:
    found = read_progress(answer("queued", place=3, **fields))
    assert found == Progress("queued", version=7, place=3, seconds=seconds)
    assert not found.final


def test_a_press_that_cannot_print_makes_no_estimate(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[float | None]:
        await front.ask(stacks(1), "v")
        (claim,) = consumer.take("tiny")
        consumer.finish(claim, key_of(stacks(1)).mark, seconds=4)
        await front.ask(stacks(2), "v")
        seconds = []
        for state in ("ready", "blocked", "ready", "broken", "loading"):
            consumer.announce(Press("host:1", state, ("tiny",), "a rendition", "", "host", 1))  # type: ignore[arg-type]
            seconds.append((await front.look(stacks(2))).seconds)
        return seconds

    assert client(work) == [8.0, None, 8.0, None, None]


def test_a_redis_without_memory_says_so_and_tells_its_keeper_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "_said_at", {})
    for _ in range(3):
        error = redis_away(ResponseError("OOM command not allowed when used memory > 'maxmemory'. script: 1"))
        assert str(error) == "New pictures cannot be drawn right now, for too many wait."
    assert [record.message for record in caplog.records if "raise its maxmemory" in record.message] == [
        caplog.records[0].message
    ]


def test_a_page_that_is_printed_says_how_far_it_is() -> None:
    found = read_progress(answer("printing", step=b"5", of=b"20", preview=b"4", mark=MARK.encode(), pace=b"2"))
    assert found == Progress("printing", version=7, step=5, of=20, preview=4, mark=MARK, seconds=1.5)
    assert read_progress(answer("printing", pace=b"2")).seconds == 2.0


def test_a_page_that_failed_says_why_and_when_to_ask_again() -> None:
    found = read_progress(answer("failed", sentence=b"Too large.", left=b"12.7"))
    assert (found.sentence, found.retry_after, found.final) == ("Too large.", 12, True)
    assert read_progress(answer("failed", left=b"0.2")).retry_after == 1
    assert read_progress(answer("failed")).retry_after == FAILED_PAUSE


@pytest.mark.parametrize(("pace", "after"), [(b"", 10), (b"0.1", 5), (b"3", 30), (b"1000", 600)])
def test_a_full_queue_says_when_to_come_back(pace: bytes, after: int) -> None:
    found = read_progress(answer("busy", pace=pace))
    assert (found.retry_after, found.final) == (after, True)


def test_a_mark_is_told_of_a_kept_page_and_not_of_an_absent_one() -> None:
    assert read_progress(answer("kept", mark=MARK.encode())) == Progress("kept", version=7, mark=MARK)
    assert read_progress(answer("absent", mark=MARK.encode())) == Progress("absent", version=7)


def test_a_press_is_read_as_it_was_announced() -> None:
    press = Press("host:1", "broken", ("tiny", "other"), "", "No weights.", "host", 1)
    assert read_press(json.dumps(asdict(press)).encode()) == press
    said = json.dumps(asdict(press)).encode()
    later = said.replace(b'"host"', b'"place"', 1)  # as another release may call it
    assert read_presses([said, said[:-1], later, b"null", b"\xff", said]) == [press, press]
    assert [Press("p", state, (), "", "", "h", 1).able for state in ("loading", "ready", "printing", "broken")] == [
        *(False, True, True, False)
    ]


def test_a_redis_that_is_away_is_told_without_its_hosts_name() -> None:
    error = redis_away(ConnectionError("redis://secret-host:6379"))
    assert "secret-host" not in f"{error} {error.hint}"
