"""The peer of recording: SQLite in this process, every batch of events one durable transaction.

WAL, synchronous=FULL, `event_id TEXT PRIMARY KEY` WITHOUT ROWID, INSERT OR IGNORE by `executemany`: the simplest thing
that is durable and knows an event by its id. Only the transactions are timed; making the rows is not. Events
have the same columns and the same mix as those of bench/loadgen.

Ids come in no order, as browsers and tills make them up; `--in-order` counts them instead, which suits a B-tree best
and is reported beside.

`python -m bench.peers.sqlite_events FILE USERS_FILE ITEMS_FILE SECONDS BATCH [--in-order]`: prints one JSON object.
"""

import json
import random
import sqlite3
import sys
import time
from pathlib import Path

Row = tuple[str, str, str, str, int, str | None, float | None, int | None, str | None, str]

SEED = 7
FIRST_AT_US = 1_514_779_280_000_000


def main() -> None:
    """Insert batches for so many seconds."""
    file, users_file, items_file, seconds, batch, *options = sys.argv[1:]
    is_in_order = options == ["--in-order"]
    users = Path(users_file).read_text(encoding="utf-8").splitlines()
    items = Path(items_file).read_text(encoding="utf-8").splitlines()
    draw = random.Random(SEED)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(
        "create table events (event_id text primary key, event_name text not null, user_id text not null,"
        " item_id text not null, event_at_us integer not null, order_id text, quantity real,"
        " amount_minor integer, currency text, session text) without rowid"
    )
    count, elapsed = 0, 0.0
    while elapsed < float(seconds):
        rows = [event(draw, count + at, users, items, is_in_order=is_in_order) for at in range(int(batch))]
        began = time.perf_counter()
        connection.execute("begin")
        connection.executemany("insert or ignore into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("commit")
        elapsed += time.perf_counter() - began
        count += len(rows)
    (stored,) = connection.execute("select count(*) from events").fetchone()
    if stored != count:
        raise SystemExit(f"{count} events were inserted and {stored} are stored")
    print(json.dumps({"events": count, "seconds": elapsed, "events_per_s": count / elapsed}))


def event(draw: random.Random, number: int, users: list[str], items: list[str], *, is_in_order: bool) -> Row:
    """Seven views, two in the cart, one purchase, of ten."""
    kind = draw.randrange(10)
    is_purchase = kind == 9
    return (
        f"load-{number if is_in_order else draw.getrandbits(64):016x}",
        "view_item" if kind < 7 else "add_to_cart" if kind < 9 else "purchase",
        draw.choice(users),
        draw.choice(items),
        FIRST_AT_US + number,
        f"order-{draw.randrange(10**8):08d}" if is_purchase else None,
        float(draw.randrange(1, 4)) if kind >= 7 else None,
        draw.randrange(99, 10_099) if is_purchase else None,
        "USD" if is_purchase else None,
        f"{draw.getrandbits(64):016x}",
    )


if __name__ == "__main__":
    main()
