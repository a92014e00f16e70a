"""gallery.snapshot: a value that may be some seconds old and outlives its source being away."""

import asyncio

from gallery.snapshot import Snapshot


class Source:
    """Counts how often it is read; a read takes as long as `gate` is closed."""

    def __init__(self) -> None:
        self.reads = 0
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, before: int) -> int:
        await self.gate.wait()
        self.reads += 1
        return before if self.away else self.reads


def test_callers_share_one_read_and_its_value_while_it_is_fresh() -> None:
    async def run() -> None:
        source = Source()
        snapshot = Snapshot(source.read, 0, fresh=60, stale=60)
        assert await asyncio.gather(*(snapshot.get() for _ in range(50))) == [1] * 50
        assert await snapshot.get() == 1
        assert source.reads == 1

    asyncio.run(run())


def test_a_stale_value_is_returned_at_once_and_read_again_in_the_background() -> None:
    async def run() -> None:
        source = Source()
        snapshot = Snapshot(source.read, 0, fresh=0, stale=60)
        assert await snapshot.get() == 1
        source.gate.clear()
        async with asyncio.timeout(1):
            assert await snapshot.get() == 1
            assert await snapshot.get() == 1
        source.gate.set()
        await asyncio.sleep(0.01)
        assert source.reads == 2, "the two callers started one read"
        assert await snapshot.get() == 2

    asyncio.run(run())


def test_what_nobody_has_asked_for_in_a_while_is_waited_for() -> None:
    async def run() -> None:
        source = Source()
        snapshot = Snapshot(source.read, 0, fresh=0, stale=0)
        assert [await snapshot.get() for _ in range(3)] == [1, 2, 3]

    asyncio.run(run())


def test_a_source_that_is_away_leaves_the_value_of_before() -> None:
    async def run() -> None:
        source = Source()
        snapshot = Snapshot(source.read, 0, fresh=0, stale=0)
        assert await snapshot.get() == 1
        source.away = True
        assert await snapshot.get() == 1
        assert source.reads == 2

    asyncio.run(run())


def test_a_caller_who_gives_up_takes_the_read_from_nobody() -> None:
    async def run() -> None:
        source = Source()
        source.gate.clear()
        snapshot = Snapshot(source.read, 0, fresh=60, stale=60)
        first, second = asyncio.ensure_future(snapshot.get()), asyncio.ensure_future(snapshot.get())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert await second == 1

    asyncio.run(run())
