"""Cuts the data at a time, builds on the past, and measures the served engine on what came next."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from promosvc.errors import FailedPreconditionError, InvalidArgumentError
from promosvc.evaluation import EvaluationReport, make_split, open_engine
from promosvc.evaluation import evaluate as measure
from promosvc.events import open_database
from promosvc.features import load_choices
from promosvc.pipeline.learn import BuildParameters, Progress, content_of, fit
from promosvc.pipeline.past import EPOCH, cut_at, load_past, to_us
from promosvc.pipeline.validate import learn_blend
from promosvc.snapshot import snapshot_path, write

TEST_DAYS = 28


def evaluate(
    database: Path | str,
    until: datetime | None = None,
    test_days: int = TEST_DAYS,
    seed: int = 7,
    progress: Progress | None = None,
    parameters: BuildParameters | None = None,
) -> EvaluationReport:
    """Measure what would have been served `test_days` before the end of the data.

    Nothing of the test period is learned from: models, weights and parameters come from before its cut. The
    snapshot is written to a temporary directory and removed again.

    Args:
        database: an event database; only read.
        until: end of the test period; the end of the data if it is not given.
        test_days: length of the test period.
        seed: of everything random.
        progress: called with (stage, done, total).
        parameters: of the models; the defaults if not given.

    Raises:
        InvalidArgumentError: test_days is below 1.
        FailedPreconditionError: no event before the cut (NO_EVENTS), or none of the target events after it
            (NOTHING_TO_TEST).
    """
    if test_days < 1:
        raise InvalidArgumentError(
            f"test_days is {test_days}; it must be at least 1",
            field="test_days",
            metadata={"value": str(test_days)},
        )
    tell = progress or (lambda _stage, _done, _total: None)
    chosen = parameters or BuildParameters()
    with open_database(database, is_read_only=True) as connection:
        end = cut_at(connection, until)
        tell("load", 0, 1)
        past = load_past(connection, cut_at(connection, end - timedelta(days=test_days)))
        tell("load", 1, 1)
        cut = end - timedelta(days=test_days)
        validation = learn_blend(connection, past, chosen, seed, tell)
        later = load_choices(connection, past.target_events, cut, end)
        before = load_choices(connection, past.target_events, EPOCH, cut)
    catalogue = past.items["item_id"].combine_chunks()
    split = make_split(later, before, catalogue, past.users["user_id"].combine_chunks())
    if not len(split.user_id):
        raise FailedPreconditionError(
            f"no {' or '.join(past.target_events) or 'item'} event from {cut.isoformat(sep=' ')} to "
            f"{end.isoformat(sep=' ')}; choose an earlier `until` or more `test_days`",
            reason="NOTHING_TO_TEST",
            field="test_days",
        )
    models = fit(past, chosen, tell)
    content = content_of(past, models, [], validation.weights, chosen, seed)
    with tempfile.TemporaryDirectory(prefix="promosvc-") as folder:
        id_ = write(content, folder)
        return measure(
            open_engine(snapshot_path(folder, id_)),
            split,
            catalogue,
            snapshot_id=id_,
            cut_at_us=to_us(cut),
            until_us=to_us(end),
            target_events=past.target_events,
            weights=validation.weights,
            seed=seed,
            progress=tell,
        )
