"""worker.press in this process: batches and lanes, full disks, claims that are lost, keys that are derived again."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import mounted_disk, wait_until, write_edition
from worker.catalogue import comparison
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.engine.engine import Engine
from worker.errors import EditionRefused
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import Progress, Reprint
from worker.press import UNHEARD_PULSES, PrintingPress, editions_here, name_in_log
from worker.store.store import Store

Ask = Callable[..., Progress]


def page(number: int) -> Address:
    return Address("tiny", "key", "press", number)


def page_of_steps(store: Store, steps: int) -> Address:
    """A page, by its mark, whose key asks for so many steps."""
    base = Key(bytes(142_077))
    return Address("tiny", "mark", store.keep_key(Key.pack(steps, base.embedding, base.latents)), None)


def test_one_page_after_the_other_is_taken_until_none_waits(
    printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    for number in (1, 2):
        visitor("ask", page(number), "v")
    assert printing_press.print_waiting("tiny") is True
    assert [store.find(page(number)) is not None for number in (1, 2)] == [True, False]
    assert printing_press.print_waiting("tiny") is False
    assert store.find(page(2)) is not None
    assert printing_press.print_waiting("tiny") is False


LONG = "a red boat on a calm sea under a yellow moon, " * 8 + "and a dog"


@pytest.mark.parametrize(("name", "ends"), [("a dog", ""), (LONG, "and a dog")])
def test_the_record_names_the_end_of_a_prompt_that_was_not_read(
    name: str, ends: str, printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    address = Address("tiny", "prompt", name, 1)
    visitor("ask", address, "v")
    printing_press.print_waiting("tiny")
    record = store.record("tiny", str(store.find(address)))
    assert record is not None
    assert record.unread == printing_press.engine("tiny").unread(name).strip()
    assert record.unread.endswith(ends)
    assert len(record.unread) < len(name)


def test_a_page_kept_by_its_mark_learns_which_words_were_not_read(
    printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    address = Address("tiny", "prompt", LONG, 2)
    mark = Address("tiny", "mark", store.keep_key(printing_press.key_of(address)), None)
    for asked, unread in ((mark, None), (address, printing_press.engine("tiny").unread(LONG).strip())):
        visitor("ask", asked, "v")
        printing_press.print_waiting("tiny")
        record = store.record("tiny", mark.name)
        assert record is not None
        assert record.unread == unread


def test_a_batch_of_several_lanes_is_printed_at_once(
    store: Store, jobs: JobConsumer, visitor: Any, tiny_engine: Engine
) -> None:
    press = PrintingPress(store, jobs, ["tiny"], device="cpu", threads=1, batch=3)
    press.engine("tiny")
    pages = [page(1), page_of_steps(store, 6), page(2)]
    for address in pages:
        visitor("ask", address, "v")
    assert press.print_waiting("tiny") is False
    assert all(store.find(address) is not None for address in pages)
    facts = [store.record("tiny", str(store.find(address))) for address in pages]
    assert [fact.steps for fact in facts if fact] == [4, 6, 4]


def test_the_seconds_of_a_page_are_the_models_or_the_presss(printing_press: PrintingPress, visitor: Any) -> None:
    visitor("ask", page(1), "v")
    began = time.perf_counter()
    printing_press.print_waiting("tiny")
    total = time.perf_counter() - began
    times = printing_press.times
    assert times.model > 0
    assert times.own > 0
    assert times.model + times.own == pytest.approx(total, rel=0.2)  # the rest is between the two


def test_a_disk_without_room_stops_the_print_with_a_sentence(
    data: Path, jobs: JobConsumer, tiny_engine: Engine, visitor: Any
) -> None:
    press = PrintingPress(Store(data, reserve=1 << 60), jobs, ["tiny"])
    press._engines["tiny"] = tiny_engine
    visitor("ask", page(1), "v")
    press.print_waiting("tiny")
    failed = visitor("ask", page(1), "v")
    assert failed.state == "failed"
    assert "to stay free, so nothing new is drawn" in failed.sentence
    assert failed.retry_after <= 60


def test_a_disk_that_did_not_take_a_page_is_not_tried_with_the_next_one_at_once(
    tmp_path: Path, tiny_weights: Path, jobs: JobConsumer, tiny_engine: Engine, redis_url: str, visitor: Any
) -> None:
    """Where the free space does not tell, as with a quota: the first page is printed in vain, the others are not."""
    with mounted_disk(tmp_path / "disk", 100) as disk:
        write_edition(disk, "tiny", str(tiny_weights))
        press = PrintingPress(Store(disk, reserve=0), jobs, ["tiny"])
        press._engines["tiny"] = tiny_engine
        for number in (1, 2):
            visitor("ask", page(number), "v")
            press.print_waiting("tiny")
            assert "The disk is full, so nothing new can be kept." in visitor("look", page(number)).sentence
            assert (press.times.model > 0) == (number == 1), "a page was printed, and only the first"
            (said,) = jobs.presses()
            assert (said.state, said.able) == ("blocked", False)
        press.store = Store(tmp_path, reserve=0)  # somebody has made room
        press._stand()
        assert jobs.presses()[0].able


def test_a_press_that_lost_its_claim_stops_and_keeps_nothing(
    printing_press: PrintingPress, visitor: Any, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = page_of_steps(store, 40)
    visitor("ask", address, "v")
    steps: list[int] = []
    step = printing_press.jobs.step

    def lose(claim: Any, index: int, of: int, **rest: Any) -> bool:
        steps.append(index)
        if index == 2:  # somebody else has it now
            with redis.Redis.from_url(redis_url) as client:
                client.set(f"babelia:claim:{address.digest}", "elsewhere|1|1.0|token")
        return step(claim, index, of, **rest)

    monkeypatch.setattr(printing_press.jobs, "step", lose)
    printing_press.print_waiting("tiny")
    assert steps == [0, 1, 2]
    assert store.find(address) is None
    assert visitor("look", address).state == "printing"


@pytest.mark.parametrize(
    ("steps", "at", "stopped"), [(40, 2, True), (4, 4, False)], ids=["in the middle", "at the last step"]
)
def test_a_print_that_everybody_has_left_stops_for_who_waits(
    steps: int,
    at: int,
    stopped: bool,
    printing_press: PrintingPress,
    visitor: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = page_of_steps(store, steps)
    visitor("ask", left, "fast hands")
    told: list[int] = []
    step = printing_press.jobs.step

    def go_on(claim: Any, index: int, of: int, **rest: Any) -> bool:
        told.append(index)
        if claim.address == left and index == at:
            visitor("leave", left, "fast hands")
            visitor("ask", page(1), "fast hands")
        return step(claim, index, of, **rest)

    monkeypatch.setattr(printing_press.jobs, "step", go_on)
    assert printing_press.print_waiting("tiny") is True
    assert max(told) == at
    assert (store.find(left) is None) is stopped
    assert printing_press.print_waiting("tiny") is False
    assert store.find(page(1)) is not None


def test_an_error_of_the_model_is_tried_three_times_and_told_without_its_innards(
    printing_press: PrintingPress, visitor: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def explode(*_: Any, **__: Any) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("a sentence from the depths")

    monkeypatch.setattr(printing_press._engines["tiny"], "print_pages", explode)
    visitor("ask", page(1), "v")
    while printing_press.print_waiting("tiny"):
        pass
    failed = visitor("look", page(1))
    assert (tries, failed.state) == (3, "failed")
    assert failed.sentence.startswith("This picture could not be drawn. Try again")
    assert "depths" not in failed.sentence


def test_a_key_that_made_room_is_derived_again_from_its_address(
    printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    visitor("ask", page(1), "v")
    printing_press.print_waiting("tiny")
    mark = store.find(page(1))
    assert mark is not None
    before = store.picture(page(1))
    for path in store.data.rglob(f"{mark}.*"):
        if path.suffix in (".png", ".webp", ".key"):
            path.unlink()
    by_mark = Address("tiny", "mark", mark, None)
    visitor("ask", by_mark, "v")
    time.sleep(5.1)  # "kept" is believed for five seconds without a file
    visitor("ask", by_mark, "v")
    printing_press.print_waiting("tiny")
    after, facts = store.picture(page(1)), store.record("tiny", mark)
    assert before is not None
    assert after is not None
    assert facts is not None
    assert store.key(mark) is not None


def test_an_edition_that_this_press_does_not_print_is_refused(printing_press: PrintingPress) -> None:
    with pytest.raises(EditionRefused, match="This press prints tiny, not another"):
        printing_press.engine("another")


def test_a_press_with_a_broken_edition_says_what_is_wrong(
    store: Store, jobs: JobConsumer, data: Path, tiny_weights: Path, visitor: Any
) -> None:
    shutil.copytree(tiny_weights, data / "copy")
    (data / "copy" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    write_edition(data, "broken", str(data / "copy"))
    press = PrintingPress(store, jobs, ["broken"])
    press.open()
    press.close()
    (said,) = jobs.presses()
    assert said.state == "broken"
    assert said.sentence.startswith("data/copy should hold unet/diffusion_pytorch_model.safetensors")
    assert not said.able
    visitor("ask", Address("broken", "key", "a", 1), "v")
    press.print_waiting("broken")
    assert visitor("look", Address("broken", "key", "a", 1)).sentence == said.sentence


def test_a_machine_prints_what_is_wanted_or_everything_installed(data: Path) -> None:
    assert "tiny" in editions_here(data, [])
    assert editions_here(data, ["another"]) == ["another"]


def test_prompts_are_not_named_in_the_log() -> None:
    assert name_in_log(page(1)) == "tiny/key/press/1"
    prompt = Address("tiny", "prompt", "a secret", 1)
    assert name_in_log(prompt) == f"tiny/prompt/({prompt.digest[:16]})/1"


def test_a_step_that_takes_longer_than_the_lease_loses_no_page(
    redis_url: str, store: Store, tiny_engine: Engine, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.PULSE", 0.1)
    slow_preview = tiny_engine.preview

    def preview(predicted: Any) -> Any:
        time.sleep(1.5)
        return slow_preview(predicted)

    monkeypatch.setattr(tiny_engine, "preview", preview)
    with contextlib.closing(JobConsumer(redis_url, lease=1.0)) as hasty:
        press = PrintingPress(store, hasty, ["tiny"])
        press._engines["tiny"] = tiny_engine
        press.open()
        visitor("ask", page(1), "v")
        press.print_waiting("tiny")
        press.close()
        assert store.find(page(1)) is not None
        (said,) = hasty.presses()
        assert said.state == "ready"
        time.sleep(0.3)  # its last sign of life


def test_an_idle_press_that_does_not_hear_of_waiting_pages_restarts(
    redis_url: str, store: Store, jobs: JobConsumer, tiny_engine: Engine, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's worker may lose its connection without a word; then messages lie in the queue and nobody takes them."""
    monkeypatch.setattr("worker.press.PULSE", 0.05)
    called = threading.Event()
    press = PrintingPress(store, jobs, ["tiny"], restart=called.set)
    press._engines["tiny"] = tiny_engine
    press.open()
    try:
        visitor("ask", page(1), "v")
        assert not called.wait(0.5)  # the message is on its way, as far as anybody can tell
        with redis.Redis.from_url(redis_url) as client:
            client.lpush("press.tiny", "a message that nobody takes")
        assert called.wait(2)
    finally:
        press.close()
        time.sleep(0.2)  # its last sign of life


def test_a_press_that_loads_for_long_while_pages_wait_does_not_restart(
    redis_url: str, store: Store, jobs: JobConsumer, tiny_engine: Engine, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would load for ever: the worker takes messages once its child is there."""
    monkeypatch.setattr("worker.press.PULSE", 0.01)
    loaded, called, beats = threading.Event(), threading.Event(), threading.Semaphore(0)
    press = PrintingPress(store, jobs, ["tiny"], restart=called.set)
    announce = jobs.announce
    monkeypatch.setattr(press, "engine", lambda slug: loaded.wait() and tiny_engine)
    monkeypatch.setattr(jobs, "announce", lambda said: (announce(said), beats.release()))
    visitor("ask", page(1), "v")
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("press.tiny", "a message that nobody takes yet")
    opening = threading.Thread(target=press.open)
    opening.start()
    try:
        for _ in range(4 * UNHEARD_PULSES):
            assert beats.acquire(timeout=60)
        assert not called.is_set()
        press._engines["tiny"] = tiny_engine
    finally:
        loaded.set()
        opening.join()
    assert called.wait(10), "loaded, it would have to hear of the page"
    press.close()
    time.sleep(0.2)  # its last sign of life


@pytest.mark.parametrize("error", [OSError(5, "Input/output error", "/secret/place"), RuntimeError("no kernel image")])
def test_a_press_that_could_not_load_says_so_whoever_raised_it(
    store: Store, jobs: JobConsumer, visitor: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    states: list[tuple[str, str]] = []
    announce = jobs.announce

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("worker.engine.engine.Engine.__init__", fail)
    monkeypatch.setattr(jobs, "announce", lambda said: states.append((said.state, said.rendition)) or announce(said))
    visitor("ask", page(1), "v")
    press = PrintingPress(store, jobs, ["tiny"])
    press.open()
    press.print_waiting("tiny")
    press.close()
    assert {state for state, _ in states} == {"loading", "broken"}  # never that it prints
    (said,) = jobs.presses()
    assert said.sentence == f"Edition tiny could not be loaded ({type(error).__name__}); the press's log says more."


def test_an_idle_press_takes_up_a_page_of_another_that_is_gone(
    redis_url: str, store: Store, jobs: JobConsumer, tiny_engine: Engine, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.PULSE", 0.05)
    reminded = threading.Event()
    with contextlib.closing(JobConsumer(redis_url, lease=0.2)) as elsewhere:
        visitor("ask", page(1), "api", patience=1)
        assert len(elsewhere.take("tiny")) == 1
    press = PrintingPress(store, jobs, ["tiny"], remind=lambda _: reminded.set())
    press._engines["tiny"] = tiny_engine
    press.open()
    try:
        assert reminded.wait(5)
        press.print_waiting("tiny")
        assert store.find(page(1)) is not None
    finally:
        press.close()
        time.sleep(0.2)  # its last sign of life


def test_a_full_disk_is_announced_and_so_is_room(
    data: Path, jobs: JobConsumer, tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.PULSE", 0.05)
    store = Store(data, reserve=1 << 60)
    press = PrintingPress(store, jobs, ["tiny"])
    press._engines["tiny"] = tiny_engine
    press.open()
    try:
        (said,) = jobs.presses()
        assert (said.state, said.able) == ("blocked", False)
        assert "are to stay free, so nothing new is drawn." in said.sentence
        store.reserve = 0
        wait_until(lambda: jobs.presses()[0].able, 5, "it can print again")
        assert jobs.presses()[0].sentence == ""
    finally:
        press.close()
        time.sleep(0.2)  # its last sign of life


def test_a_kept_page_that_is_printed_a_second_time_is_compared_and_replaces_nothing(
    printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    visitor("ask", page(1), "v")
    printing_press.print_waiting("tiny")
    first, before = store.picture(page(1)), sorted((path, path.stat().st_ino) for path in store.data.rglob("*.*"))
    assert first is not None
    again = Reprint(page(1))
    assert visitor("ask", again, "v").state == "queued"
    assert visitor("look", page(1)).state == "kept", "the page itself is there all the while"
    printing_press.print_waiting("tiny")
    assert visitor("look", again).state == "kept"
    found, facts = comparison.from_json(visitor("reprint", again))
    assert found.identical and facts["first"] == first.digest
    assert facts["pixel_digest"] == store.record("tiny", first.mark).pixel_digest  # type: ignore[union-attr]
    assert sorted((path, path.stat().st_ino) for path in store.data.rglob("*.*")) == before


def test_a_second_print_is_not_made_where_the_first_is_not_kept_any_more(
    printing_press: PrintingPress, visitor: Any, store: Store
) -> None:
    again = Reprint(page(2))
    visitor("ask", again, "v")
    printing_press.print_waiting("tiny")
    progress = visitor("look", again)
    assert (progress.state, progress.step) == ("failed", 0)
    assert "nothing to compare with" in progress.sentence
    assert store.find(page(2)) is None, "and it is not kept as a first one either"
