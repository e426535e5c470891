"""What a shop must look like after anything that happened to it, told slowly and obviously.

All acknowledged events are kept in a list; a snapshot remembers which of them it was made from; what a server shows
is recomputed from both, from the beginning, each time that it is asked. Nothing here knows of logs, folds or positions but
as indices of that list.
"""

from dataclasses import dataclass, field

WEIGHTS = {"purchase": 1.0, "add_to_cart": 0.5, "view_item": 0.2, "refund": 0.0}
SEEN = "purchase"

Identity = tuple[str, str, str]
"""Source, name, id."""


@dataclass(frozen=True)
class Happened:
    """An event; one identity always has one content here."""

    source: str
    event_name: str
    event_id: str
    user_id: str
    item_id: str
    at_us: int

    @property
    def identity(self) -> Identity:
        """What makes it the same event."""
        return self.source, self.event_name, self.event_id


@dataclass(frozen=True)
class Choice:
    """What the server says of a user and an item: how often, and when last."""

    count: int
    last_at_us: int


@dataclass
class Made:
    """A snapshot: the events that it holds, and how much of the log was in the database by then."""

    events: dict[Identity, Happened]
    events_position: int
    items: frozenset[str]
    unavailable: frozenset[str]


@dataclass
class ReferenceShop:
    """The shop."""

    log: list[Happened | dict[str, bool]] = field(default_factory=list)
    """Positions of the event log: events, and availability by item."""
    database: dict[Identity, Happened] = field(default_factory=dict)
    tailed: int = 0
    items: set[str] = field(default_factory=set)
    facts: dict[str, bool] = field(default_factory=dict)
    snapshots: dict[str, Made] = field(default_factory=dict)
    running: str = ""

    def record(self, event: Happened) -> bool:
        """Record an event; whether it is new to everything that the server can know."""
        known = {entry.identity for entry in self.log if isinstance(entry, Happened)}
        if event.identity in known or event.identity in self.imported_in_running():
            return False
        self.log.append(event)
        return True

    def imported_in_running(self) -> set[Identity]:
        """Imported events of the running snapshot."""
        recorded = {entry.identity for entry in self.log if isinstance(entry, Happened)}
        return {identity for identity in self.snapshots[self.running].events if identity not in recorded}

    def change(self, item_id: str, *, is_available: bool) -> None:
        """Record that an item can be had, or not."""
        self.log.append({item_id: is_available})
        # The answer of the write is a position too.
        self.log.append({})

    def import_(self, events: list[Happened]) -> int:
        """Import a file into the database; how many are new there."""
        new = 0
        for event in events:
            new += event.identity not in self.database
            self.database.setdefault(event.identity, event)
            self.items.add(event.item_id)
        return new

    def tail(self) -> int:
        """Bring the log into the database; how many events were new there."""
        before = len(self.database)
        for entry in self.log[self.tailed :]:
            if isinstance(entry, Happened):
                self.database.setdefault(entry.identity, entry)
                self.items.add(entry.item_id)
            else:
                self.facts |= entry
                self.items |= entry.keys()
        self.tailed = len(self.log)
        return len(self.database) - before

    def made(self) -> Made:
        """The snapshot that would be made now."""
        unavailable = {item for item, is_available in self.facts.items() if not is_available}
        return Made(dict(self.database), self.tailed, frozenset(self.items), frozenset(unavailable))

    def visible(self) -> dict[Identity, Happened]:
        """The events that answers rest on now."""
        snapshot = self.snapshots[self.running]
        events = dict(snapshot.events)
        for entry in self.log[snapshot.events_position :]:
            if isinstance(entry, Happened):
                events.setdefault(entry.identity, entry)
        return events

    def known_items(self) -> set[str]:
        """Items that can be answered, available or not."""
        snapshot = self.snapshots[self.running]
        later = [entry for entry in self.log[snapshot.events_position :] if isinstance(entry, dict)]
        return set(snapshot.items).union(*later) if later else set(snapshot.items)

    def available_items(self) -> set[str]:
        """Items that can be had."""
        snapshot = self.snapshots[self.running]
        unavailable = set(snapshot.unavailable)
        for entry in self.log[snapshot.events_position :]:
            if isinstance(entry, dict):
                for item, is_available in entry.items():
                    (unavailable.discard if is_available else unavailable.add)(item)
        return self.known_items() - unavailable

    def history(self, user_id: str) -> dict[str, Choice]:
        """What the user chose of the known items: count of the strongest kind of event, time of the newest."""
        by_item: dict[str, list[Happened]] = {}
        for event in self.visible().values():
            if (
                event.user_id == user_id
                and WEIGHTS[event.event_name] > 0
                and event.item_id in self.known_items()
            ):
                by_item.setdefault(event.item_id, []).append(event)
        choices = {}
        for item, events in by_item.items():
            strongest = max(WEIGHTS[event.event_name] for event in events)
            count = sum(WEIGHTS[event.event_name] == strongest for event in events)
            choices[item] = Choice(count, max(event.at_us for event in events))
        return choices

    def unseen(self, user_id: str) -> set[str]:
        """Items that can be had and that the user has not bought."""
        seen = {
            event.item_id
            for event in self.visible().values()
            if event.user_id == user_id and event.event_name == SEEN
        }
        return self.available_items() - seen
