"""The fold over the event log against the reference: any sequence of writes, restarts and kills gives the same shop.

No database takes part after the first snapshot: what is compared is live state alone, as the log, its checkpoints and
its replay make it.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from live_shop import NOW_US, LiveShop
from reference_shop import Happened, ReferenceShop

USERS = ["ann", "bob", "cid"]
ITEMS = [f"item-{number}" for number in range(6)]
NAMES = ["purchase", "view_item", "add_to_cart", "refund"]
DAY_US = 86_400_000_000


def happened(number: int) -> Happened:
    """The event of a number: users, items, names and moments come again, identities with their content."""
    return Happened(
        source="till" if number % 3 else "app",
        event_name=NAMES[number % len(NAMES)],
        event_id=f"e{number}",
        user_id=USERS[number % len(USERS)],
        item_id=ITEMS[number % len(ITEMS)],
        at_us=NOW_US - DAY_US - 1_000 * (number // 2),
    )


PAST = [event for event in map(happened, range(40)) if event.source == "till"]


@cache
def base() -> tuple[Path, str]:
    """A shop with a past and a snapshot, made once; each example works on a copy."""
    folder = Path(tempfile.mkdtemp(prefix="promosvc-fold-"))
    shop = LiveShop(folder)
    shop.import_(PAST)
    return folder, shop.build()


class Fold(RuleBasedStateMachine):
    """One shop, told and remembered."""

    @initialize()
    def begin(self) -> None:
        folder, snapshot_id = base()
        self.folder = Path(tempfile.mkdtemp(prefix="promosvc-fold-"))
        shutil.rmtree(self.folder)
        shutil.copytree(folder, self.folder)
        self.real = LiveShop(self.folder)
        self.real.open()
        self.reference = ReferenceShop()
        self.reference.import_(PAST)
        self.reference.snapshots[snapshot_id] = self.reference.made()
        self.reference.running = snapshot_id
        self.changes = 0

    @rule(numbers=st.lists(st.integers(0, 80), min_size=1, max_size=8))
    def record(self, numbers: list[int]) -> None:
        for source in ("till", "app"):
            events = [event for event in map(happened, numbers) if event.source == source]
            if events:
                expected = ["ACCEPTED" if self.reference.record(event) else "DUPLICATE" for event in events]
                assert self.real.record(events) == expected

    @rule(item=st.sampled_from([*ITEMS, "new"]), is_available=st.booleans())
    def change(self, item: str, is_available: bool) -> None:
        self.changes += 1
        self.real.change(f"change-{self.changes}", item, is_available=is_available)
        self.reference.change(item, is_available=is_available)

    @rule()
    def kill(self) -> None:
        self.real.kill()

    @rule()
    def restart(self) -> None:
        """A stop in good order writes a checkpoint, which the next start reads."""
        self.real.close()
        self.real.open()

    @invariant()
    def is_as_told(self) -> None:
        for user in USERS:
            assert self.real.history(user) == self.reference.history(user)
            assert self.real.unseen(user) == self.reference.unseen(user)

    def teardown(self) -> None:
        self.real.close()
        shutil.rmtree(self.folder)


TestFold = Fold.TestCase
TestFold.settings = settings(stateful_step_count=20, max_examples=settings.default.max_examples // 2)
