"""Whatever happens in whatever order, answers rest on every acknowledged event, once.

Seeded interleavings of record, import, change, refresh, publish, rollback and kill on one shop. After each step
histories, seen sets and what can be had are compared with a recomputation from all that was acknowledged; after each
refresh also the database. `make fuzz` runs 200 seeds; the quick run takes a few. A failure names its seed.
"""

import os
import random
from pathlib import Path

import pytest
from live_shop import NOW_US, LiveShop
from reference_shop import Happened, ReferenceShop

from promosvc import pipeline
from promosvc.errors import FailedPreconditionError

SEEDS = int(os.environ.get("PROMOSVC_INTERLEAVINGS", "8"))
STEPS = 25
USERS = [f"user-{number}" for number in range(6)]
ITEMS = [f"item-{number}" for number in range(20)]
NAMES = ["purchase", "purchase", "view_item", "add_to_cart", "refund"]
SOURCES = ["till", "app"]
DAY_US = 86_400_000_000


class Interleaving:
    """The real shop and the reference side by side."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.randomness = random.Random(seed)
        self.real = LiveShop(folder)
        self.reference = ReferenceShop()
        self.count = 0
        self.published: list[str] = []

    def event(self) -> Happened:
        """An event; its content follows from its identity, and identities come again now and then."""
        number = self.randomness.randrange(400)
        content = random.Random(number)
        name, source = content.choice(NAMES), content.choice(SOURCES)
        return Happened(
            source=source,
            event_name=name,
            event_id=f"e{number}",
            user_id=content.choice(USERS),
            item_id=content.choice(ITEMS),
            # Within the days that snapshots carry ids for, and never two at the same moment.
            at_us=NOW_US - content.randrange(1, 6) * DAY_US - number,
        )

    def begin(self) -> None:
        """A shop with a past, a snapshot, and a server."""
        self.import_file(60)
        snapshot_id = self.real.build()
        self.reference.tail()
        self.note(snapshot_id)
        self.real.open()

    def note(self, snapshot_id: str) -> None:
        self.reference.snapshots[snapshot_id] = self.reference.made()
        self.reference.running = snapshot_id
        self.published.append(snapshot_id)

    def step(self) -> str:
        """Something happens."""
        kind = self.randomness.choices(
            ["record", "import_", "change", "refresh", "publish", "rollback", "kill"], [10, 2, 3, 4, 2, 1, 2]
        )[0]
        getattr(self, kind)()
        return kind

    def record(self) -> None:
        source = self.randomness.choice(SOURCES)
        drawn = (self.event() for _ in range(self.randomness.randrange(1, 12)))
        if not (events := [event for event in drawn if event.source == source]):
            return
        told = self.real.record(events)
        expected = ["ACCEPTED" if self.reference.record(event) else "DUPLICATE" for event in events]
        assert told == expected

    def import_(self) -> None:
        self.import_file(self.randomness.randrange(1, 20))

    def import_file(self, rows: int) -> None:
        source = self.randomness.choice(SOURCES)
        drawn = {event.identity: event for event in (self.event() for _ in range(2 * rows))}
        if not (events := [event for event in drawn.values() if event.source == source]):
            return
        # A file of its own each time: the same file again would be known by its content.
        self.count += 1
        marker = Happened(
            source, "view_item", f"file-{self.count}", USERS[0], ITEMS[0], NOW_US - DAY_US - self.count
        )
        events.append(marker)
        assert self.real.import_(events) == self.reference.import_(events)

    def change(self) -> None:
        self.count += 1
        item = self.randomness.choice([*ITEMS, f"new-{self.randomness.randrange(5)}"])
        is_available = self.randomness.random() < 0.5
        self.real.change(f"change-{self.count}", item, is_available=is_available)
        self.reference.change(item, is_available=is_available)

    def refresh(self) -> None:
        keep = self.randomness.randrange(2, 5)
        snapshot_id = self.real.refresh(keep)
        self.reference.tail()
        assert self.real.stored() == sorted(self.reference.database)
        if snapshot_id is not None:
            self.note(snapshot_id)
            self.real.take(snapshot_id)

    def publish(self) -> None:
        snapshot_id = self.randomness.choice(self.kept())
        pipeline.publish_snapshot(self.real.snapshots, snapshot_id)
        self.reference.running = snapshot_id
        self.real.take(snapshot_id)

    def rollback(self) -> None:
        if len(self.kept()) < 2:
            return
        try:
            snapshot_id = pipeline.rollback_snapshot(self.real.snapshots)
        except FailedPreconditionError:
            return
        self.reference.running = snapshot_id
        self.real.take(snapshot_id)

    def kept(self) -> list[str]:
        return [info.snapshot_id for info in pipeline.list_snapshots(self.real.snapshots)]

    def kill(self) -> None:
        self.real.kill()

    def check(self) -> None:
        """The real shop is as the reference says."""
        for user in [*USERS, "nobody"]:
            assert self.real.history(user) == self.reference.history(user)
            assert self.real.unseen(user) == self.reference.unseen(user)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_answers_rest_on_every_acknowledged_event_once(seed: int, tmp_path: Path) -> None:
    both = Interleaving(seed, tmp_path / "data")
    both.begin()
    steps: list[str] = []
    try:
        both.check()
        for _ in range(STEPS):
            steps.append("?")
            steps[-1] = both.step()
            both.check()
    except AssertionError as error:
        error.add_note(f"seed {seed}, after {' · '.join(steps)}")
        raise
    finally:
        both.real.close()


def test_an_event_that_comes_by_file_and_by_wire_counts_once(tmp_path: Path) -> None:
    shop = LiveShop(tmp_path / "data")
    past = [Happened("till", "purchase", f"p{n}", "ann", "tea", NOW_US - 3 * DAY_US - n) for n in range(2)]
    shop.import_(past)
    before = shop.build()
    shop.open()
    try:
        both_ways = Happened("till", "purchase", "twice", "ann", "tea", NOW_US - DAY_US)
        # Behind the server's back, so that the snapshot from before does not know of it.
        shop.import_([both_ways])
        after = shop.refresh(keep=5)
        assert after is not None
        shop.take(after)
        pipeline.publish_snapshot(shop.snapshots, before)
        shop.take(before)
        assert shop.history("ann")["tea"].count == 2
        assert shop.record([both_ways]) == ["ACCEPTED"]
        assert shop.history("ann")["tea"].count == 3
        for snapshot_id in (after, before, after):
            pipeline.publish_snapshot(shop.snapshots, snapshot_id)
            shop.take(snapshot_id)
            assert shop.history("ann")["tea"].count == 3
            assert shop.record([both_ways]) == ["DUPLICATE"]
        # A restart finds it again.
        shop.kill()
        assert shop.history("ann")["tea"].count == 3
        refreshed = shop.refresh(keep=5)
        assert refreshed is not None
        shop.take(refreshed)
        assert shop.history("ann")["tea"].count == 3
        assert len(shop.stored()) == 3
    finally:
        shop.close()
