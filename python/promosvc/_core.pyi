"""The Rust core: kernels over arrays, and the served engine.

Every function lets go of the interpreter while it works and leaves no thread behind. A wrong argument raises
`promosvc.errors.InvalidArgumentError`, whose `field` is the argument. Arrays are one-dimensional, contiguous
and of exactly the dtype shown; they are viewed, not copied, and must not be written to during the call.

A sparse matrix is `(indptr, indices, data)` in compressed rows: row r holds the columns
`indices[indptr[r]:indptr[r+1]]` with values `data[...]`. Indices need not ascend but must not repeat in a
row; values are finite and at most 1e12 in magnitude.
"""

from typing import Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ArrowTable",
    "Door",
    "Engine",
    "Server",
    "__version__",
    "dense_products",
    "error_kinds",
    "event_key",
    "item_neighbours",
    "log_holder",
    "read_decisions",
    "read_event_log",
    "read_users",
    "replay_decisions",
    "textbook_neighbours",
    "top_products",
    "turned_neighbours",
    "user_neighbours",
    "verify_snapshot",
]

__version__: str
"""Version of promosvc."""

_Int64s: TypeAlias = npt.NDArray[np.int64]
_UInt32s: TypeAlias = npt.NDArray[np.uint32]
_Float32s: TypeAlias = npt.NDArray[np.float32]
_Csr: TypeAlias = tuple[_Int64s, _UInt32s, _Float32s]

class _ArrowStreamExportable(Protocol):
    """A table of pyarrow, polars, pandas, DuckDB ...: anything with an Arrow C stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class ArrowTable:
    """An answer as an Arrow table; read it with `pyarrow.table(answer)` or `polars.from_arrow(answer)`."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A new stream over the table. `requested_schema` is ignored, as the protocol allows."""

    def __len__(self) -> int:
        """Number of rows."""

@final
class Engine:
    """The served engine on one snapshot, for evaluation: the decisions of a server, for many users at once.

    It owns no threads. Methods may be called from several threads.

    Args:
        snapshot_dir: The snapshot's own directory (`snapshots/<id>`).

    Raises:
        SnapshotError: A file is truncated, altered or of another format; the message names it.
        IoError: A file cannot be read.
    """

    def __new__(cls, snapshot_dir: str) -> Engine: ...
    @property
    def snapshot_id(self) -> str:
        """Id of the snapshot."""

    def recommend(
        self,
        users: _ArrowStreamExportable,
        *,
        page_size: int,
        hide_seen: bool,
        seen_event_names: list[str],
        sources: list[str],
        weights: dict[str, float] | None = None,
        category_cap: int = 0,
        now_us: int,
    ) -> ArrowTable:
        """Ranked items for each user, without reasons.

        Args: users: One string column, `user_id`. Unknown users are answered as a server would. page_size:
            Items for each user, 1 to 100 (0 is 1). hide_seen: Whether what the user chose before is hidden.
            seen_event_names: The events that make an item seen, at any age. sources: Only these of
            "item_knn", "user_knn", "repeat", "popular_1d", "popular_7d", "popular_30d"; none
                means the blend as it is served.
            weights: Instead of the snapshot's weights, by source; a source that is not named weighs nothing.
            category_cap: Most items of one category; 0 is no limit.
            now_us: The clock, in microseconds since 1970-01-01 UTC.

        Returns: Columns `user_row` uint32 (row of `users`), `rank` uint32 (from 1), `item_id` utf8, `score`
            float32.

        >>> answer = Engine("snapshots/...").recommend(users, page_size=20, ...)  # doctest: +SKIP
        >>> pyarrow.table(answer).to_pandas()  # doctest: +SKIP
        """

    def source_scores(
        self,
        users: _ArrowStreamExportable,
        *,
        hide_seen: bool,
        seen_event_names: list[str],
        sources: list[str],
        candidates: int = 200,
        now_us: int,
    ) -> ArrowTable:
        """What each source says of the union of all sources' best candidates.

        For learning the blend's weights.

        Args:
            users: One string column, `user_id`.
            hide_seen: Whether what the user chose before is hidden.
            seen_event_names: The events that make an item seen.
            sources: Only these; none means all.
            candidates: Candidates of each source, at least 1.
            now_us: The clock, in microseconds since 1970-01-01 UTC.

        Returns: Columns `user_row` uint32, `item_id` utf8, and one float32 column for each source with its
            normalised score, 0 to 1.
        """

@final
class Server:
    """The native server: accepts, answers and stops in Rust threads that never need the interpreter.

    Args:
        config_json: The configuration as `promosvc.serving.document` makes it.

    Raises:
        InvalidArgumentError: The configuration is wrong; the message says where.

    >>> server = Server(config_json)  # doctest: +SKIP
    >>> server.start()  # doctest: +SKIP
    '127.0.0.1:50051'
    >>> server.stop(5.0)  # doctest: +SKIP
    True
    """

    def __new__(cls, config_json: str) -> Server: ...
    def start(self) -> str:
        """Binds, takes the published snapshot and serves by the time it returns; the address with its port.

        Raises:
            FailedPreconditionError: It was started before.
            PromosvcError: The address cannot be bound or is not allowed.
        """

    def stop(self, grace_seconds: float) -> bool:
        """Drains, and cuts what is left after `grace_seconds`; whether every call was finished.

        May be called again, also while another call waits. Does nothing before `start`.

        Raises:
            FailedPreconditionError: This is a forked child of the process that started it (`FORKED`).
        """

@final
class Door:
    """One engine with its clock, snapshots and limits, without a listener: what the grpcio door calls.

    Args:
        config_json: As for `Server`.

    Raises:
        InvalidArgumentError: The configuration is wrong; the message says where.
    """

    def __new__(cls, config_json: str) -> Door: ...
    def call(
        self, method: str, request: bytes, metadata: list[tuple[str, bytes]], timeout_seconds: float | None
    ) -> tuple[int, str, list[tuple[str, bytes]], bytes]:
        """Answers one call; never raises for what a client sent.

        Args:
            method: Path, such as "/promosvc.v1.PromoService/Recommend".
            request: The encoded message.
            metadata: What the client sent beside it.
            timeout_seconds: Time left of the client's deadline; None is no deadline.

        Returns: `(code, message, trailing metadata, response)`: gRPC status code (0 is OK), its message,
            metadata whose `-bin` keys hold raw bytes, and the encoded answer (empty unless OK).
        """

    def drain(self) -> None:
        """Says NOT_SERVING from now on; what is asked is still answered."""

    def close(self, grace_seconds: float) -> bool:
        """Ends recording: what waits is written, a last checkpoint too if there is time, the log is given back.

        Reads are still answered. May be called again.

        Returns: Whether all that was done within the grace.

        Raises:
            InvalidArgumentError: `grace_seconds` is negative or not a number.
        """

def verify_snapshot(path: str) -> str:
    """Opens a snapshot as a server does, checking every length, checksum, schema and index.

    Returns: A summary as a JSON object: `snapshot_id`, `format_version`, `watermark_at_us`,
        `events_position`, `seed`, `library_versions`, `item_count`, `user_count`, `history_events`, `models`,
        `feature_views` (names), `files` (bytes and rows by name).

    Raises:
        SnapshotError: A file is truncated, altered or of another format; the message names it.
        IoError: A file cannot be read.
    """

def error_kinds() -> list[tuple[str, str]]:
    """Every error kind of the engine and the name of its class in `promosvc.errors`.

    >>> ("NotFound", "NotFoundError") in error_kinds()
    True
    """

def read_users(users: _ArrowStreamExportable) -> ArrowTable:
    """The users as `Engine.recommend` reads them: exactly one string column, `user_id`, without nulls.

    >>> import pyarrow
    >>> pyarrow.table(read_users(pyarrow.table({"user_id": ["ada"]}))).to_pylist()
    [{'user_id': 'ada'}]
    """

def event_key(source: str, event_name: str, event_id: str) -> bytes:
    """By what an event is known again: 16 bytes.

    They are the first half of the SHA-256 of `source 0x1F event_name 0x1F event_id` in UTF-8.

    >>> event_key("web", "purchase", "1").hex()
    '4d38ffcde01577ff02eeec5907c459a2'
    """

def log_holder(directory: str) -> int | None:
    """PID of the process that writes the log in a directory now, or nothing; 0 when it has not said yet.

    Raises:
        IoError: The lock cannot be read.
    """

def read_event_log(
    directory: str, from_position: int, until_position: int | None, *, entries_max: int
) -> tuple[ArrowTable, ArrowTable, int]:
    """A stretch of the event log as `(events, items, next_position)`; needs no lock and changes nothing.

    Args:
        directory: Of the event log.
        from_position: The first log position that is wanted.
        until_position: Records that begin at or after it are not read: the durable position that a running
            server tells. Nothing means the last whole record, which is durable only while nobody writes.
        entries_max: At least 1. Reading stops after the record with which so many positions are reached, so
            that a long log is read in pieces: go on from `next_position`, until it no longer moves.

    Returns:
        events: Columns `position` uint64, `recorded_at_us` int64, `source`, `event_id`, `event_name`,
            `user_id`, `item_id` (nullable) utf8, `event_at_us` int64; nullable `order_id` utf8, `quantity`
            float64, `amount_minor`, `discount_minor`, `coupon_discount_minor` int64, `currency` utf8,
            `rating` float64, `search_term`, `promotion_id` utf8, and as JSON objects `exposed_by`
            (snapshot_hash, decided_at_us, arm, rank, propensity) and `attributes` (texts, keys ascending).
        items: Columns `position` uint64, `recorded_at_us` int64, `item_id` utf8; nullable `kind`, `title`,
            `category`, `brand` utf8, `unit_price_minor` int64, `currency` utf8, `stock` int64, `is_available`
            bool. Null is not told; an empty title, category or brand is none.
        next_position: Position after the last record that was read; `from_position` when there was none.

    Raises:
        NotFoundError: Positions from `from_position` on were trimmed (LOG_TRIMMED).
        SnapshotError: The log ends before `from_position` or `until_position` (LOG_SHORT), is damaged
            (LOG_CORRUPT), or holds records of another kind or version (LOG_FORMAT).
        IoError: The directory or a file cannot be read.

    >>> events, items, position = read_event_log("data/events", 0, None, entries_max=1000)  # doctest: +SKIP
    >>> pyarrow.table(events).to_pandas()  # doctest: +SKIP
    """

def read_decisions(directory: str, *, from_position: int | None = None, limit: int = 10_000) -> ArrowTable:
    """Decisions of a decision log as a table, oldest first.

    Args:
        directory: the decision log.
        from_position: where to begin; by default at the oldest that is kept.
        limit: rows at most, 0 or more.

    Columns: `position`, `decided_at_us`, `user_id`, `placement`, `snapshot_id`, `events_position`, `used_events`,
    `is_live_state_incomplete`, the answer as `item_ids` and `scores`, the best 200 candidates as `candidate_ids`,
    `candidate_scores` and `candidate_source_scores` (six each: item_knn, user_knn, repeat, popular_1d, popular_7d,
    popular_30d), `propensity`, `sample_rate` (weigh by its inverse) and `program_version`.

    Raises:
        FailedPreconditionError: there is no such directory.
        NotFoundError: `from_position` was deleted with its segment.
        SnapshotError: the log is damaged.

    >>> pyarrow.table(read_decisions("data/decisions", limit=100)).to_pandas()  # doctest: +SKIP
    """

def replay_decisions(
    decisions_dir: str, events_dir: str, snapshots_dir: str, *, position: int | None = None, last: int = 1
) -> str:
    """Makes decisions of the decision log again and compares them byte for byte.

    Args:
        decisions_dir: the decision log.
        events_dir: the event log, for the catalogue as it was.
        snapshots_dir: the snapshots.
        position: one decision by its place in the decision log.
        last: without a position, so many of the newest.

    Returns:
        A JSON array, oldest first, of objects with `position`, `decided_at_us`, `snapshot_id` and `verdict`: "SAME";
        "DIFFERENT", then with `recorded` and `replayed` (encoded answers in base64) and `is_catalogue_same`; or
        "NOT_RETAINED", then with `missing`.

    Raises:
        FailedPreconditionError: there is no decision log.
        NotFoundError: no decision has that position yet.
        SnapshotError: a log or snapshot is damaged.

    >>> replay_decisions("data/decisions", "data/events", "data/snapshots", last=3)  # doctest: +SKIP
    """

def item_neighbours(
    indptr: _Int64s,
    indices: _UInt32s,
    data: _Float32s,
    n_items: int,
    *,
    similarity: str = "cosine",
    top_n: int = 100,
    shrinkage: float = 0.0,
    bm25_k1: float = 1.2,
    bm25_b: float = 0.75,
    threads: int = 0,
) -> _Csr:
    """The most similar items of each item in a user x item matrix.

    Args: indptr: n_users + 1 entries. indices: Item of each cell, below `n_items`. data: Value of each cell.
        Cells of 0 do not count. n_items: Number of items. similarity: "linear" `x·y`, "cosine" `x·y / (‖x‖‖y‖
        + shrinkage)`, "jaccard" `n / (n_x + n_y - n + shrinkage)`
            (values do not matter), or "bm25", the dot product of BM25 weights (values at least 0).
        top_n: Most neighbours of each item, 1 to 1,000.
        shrinkage: At least 0. "linear" and "bm25" are multiplied by `n / (n + shrinkage)`; n is the number of
            users that two items share.
        bm25_k1: Saturation, at least 0.
        bm25_b: Length normalisation, 0 to 1.
        threads: 0 is one for each core; at most 1,024. The result does not depend on it.

    Returns: `(indptr, neighbours, similarities)`, one row for each item: similarity descending, then index
        ascending; finite, above 0, never the item itself.

    >>> indptr, indices = np.array([0, 2, 4]), np.array([0, 1, 1, 2], dtype=np.uint32)
    >>> found = item_neighbours(indptr, indices, np.ones(4, dtype=np.float32), 3)
    >>> found[0].tolist(), found[1].tolist()
    ([0, 1, 3, 4], [1, 0, 2, 1])
    >>> found[2].round(2)
    array([0.71, 0.71, 0.71, 0.71], dtype=float32)
    """

def user_neighbours(
    indptr: _Int64s,
    indices: _UInt32s,
    data: _Float32s,
    n_items: int,
    *,
    similarity: str = "cosine",
    top_n: int = 100,
    shrinkage: float = 0.0,
    bm25_k1: float = 1.2,
    bm25_b: float = 0.75,
    threads: int = 0,
) -> _Csr:
    """The most similar users of each user: `item_neighbours` of the transpose, with one row for each user."""

def turned_neighbours(
    indptr: _Int64s, neighbours: _UInt32s, similarities: _Float32s, *, row_max: int = 1000
) -> _Csr:
    """The same similarities from the other side: row h holds the rows that have h among their neighbours.

    Takes what `item_neighbours` or `user_neighbours` gave. A row is cut to its best `row_max`, 1 to 1,000:
    similarity descending, then index ascending.
    """

def textbook_neighbours(
    indptr: _Int64s, indices: _UInt32s, data: _Float32s, n_items: int, *, k: int = 10
) -> _UInt32s:
    """The k users with the largest dot product with each user, whatever it is.

    Never the user itself, ties by the lower index. Returns n_users x k indices in row-major order, most
    similar first. Needs more than `k` users.
    """

def top_products(
    left: _Csr,
    right: _Csr,
    n_columns: int,
    *,
    top_k: int,
    excluded: tuple[_Int64s, _UInt32s] | None = None,
    combination: str = "sum",
    threads: int = 0,
) -> _Csr:
    """The best columns of each row of the product of two sparse matrices.

    Args: left: Rows x middle. right: Middle x `n_columns`. n_columns: Number of columns. top_k: Most columns
        of each row, 1 to 10,000. excluded: `(indptr, indices)` of cells that must not be answered, one row
        for each row of `left`. combination: "sum" is `Σ l·r`, of which only sums above 0 are answered;
        "normalised_by_left" is `Σ l·r / Σ |l|`
            and "normalised_by_right" `Σ l·r / Σ |r|`, the sums being over stored pairs.
        threads: 0 is one for each core; at most 1,024. The result does not depend on it.

    Returns:
        `(indptr, columns, values)`: value descending, then column ascending. A row may be short.
    """

def dense_products(left: _Csr, right: _Csr, n_columns: int, *, combination: str = "sum") -> _Float32s:
    """The product of two sparse matrices, rows x `n_columns` values in row-major order (at most 2 GB).

    Combinations are those of `top_products`; a column that nothing reaches is 0.
    """
