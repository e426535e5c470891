//! Gives decisions back, to the replay and to analysts.

use std::path::Path;
use std::sync::Arc;

use promosvc_engine::error::{Error, ErrorKind, Result};
use prost::Message;

use crate::storage::{DiskFiles, KIND_DECISION, LogReader, Record};
use crate::wire::promosvc::log::v1::DecisionRecord;
use crate::wire::promosvc::v1 as wire;

/// Scores of one candidate by source.
pub const CANDIDATE_SOURCES: usize = 6;

/// A decision log that is read.
pub struct DecisionReader {
    log: LogReader,
    directory: String,
}

/// A decision as analysts see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionRow {
    /// Its place in the decision log.
    pub position: u64,
    /// When it was made, by the server's clock, in microseconds since 1970-01-01 UTC.
    pub decided_at_us: i64,
    /// Whom it was made for; empty for an anonymous visitor.
    pub user_id: String,
    /// The placement.
    pub placement: String,
    /// The snapshot that it was made on.
    pub snapshot_id: String,
    /// The event log up to which it knew.
    pub events_position: u64,
    /// How many of the user's live events were used.
    pub used_events: u32,
    /// Whether live state said that events of the user may be missing.
    pub is_live_state_incomplete: bool,
    /// The answer, best first.
    pub item_ids: Vec<String>,
    /// Its scores.
    pub scores: Vec<f32>,
    /// The best candidates, best first.
    pub candidate_ids: Vec<String>,
    /// Their scores.
    pub candidate_scores: Vec<f32>,
    /// Their normalised scores by source, `CANDIDATE_SOURCES` for each.
    pub candidate_source_scores: Vec<f32>,
    /// Probability of the chosen arm.
    pub propensity: f32,
    /// Share of decisions that are written.
    pub sample_rate: f64,
    /// Version of the program.
    pub program_version: String,
}

impl DecisionReader {
    /// Opens a directory (`NO_DECISION_LOG` where there is none).
    pub fn open(directory: &Path) -> Result<Self> {
        if !directory.is_dir() {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                "NO_DECISION_LOG",
                format!(
                    "{} is no directory; a server that samples decisions makes it",
                    directory.display()
                ),
            )
            .with("directory", directory.display()));
        }
        Ok(Self {
            log: LogReader::open(Arc::new(DiskFiles::open(directory)?))?,
            directory: directory.display().to_string(),
        })
    }

    /// Position of the oldest decision; that of the next one where there is none.
    pub fn first(&self) -> Result<u64> {
        Ok(self.log.first_position()?.unwrap_or(0))
    }

    /// Position after the newest whole record.
    pub fn end(&self) -> Result<u64> {
        // Only the last segment has to be walked; it begins where the one before it ends.
        let Some(&last) = self.log.segments()?.last() else {
            return Ok(0);
        };
        let mut records = self.log.records(last, None)?;
        for record in records.by_ref() {
            record?;
        }
        Ok(records.position())
    }

    /// At most `limit` decisions from a position on.
    pub fn rows(&self, from: u64, limit: usize) -> Result<Vec<DecisionRow>> {
        self.records(from, limit)?
            .map(|decision| {
                let (position, record) = decision?;
                self.row(position, record)
            })
            .collect()
    }

    /// At most `limit` records from a position on.
    pub(crate) fn records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<impl Iterator<Item = Result<(u64, DecisionRecord)>>> {
        let records = self.log.records(from, None)?;
        Ok(records.take(limit).map(|record| self.decode(&record?)))
    }

    fn decode(&self, record: &Record) -> Result<(u64, DecisionRecord)> {
        if record.kind != KIND_DECISION {
            let what = format_args!("its kind is {}, not {KIND_DECISION}", record.kind);
            return Err(self.invalid(record.position, what));
        }
        let decoded = DecisionRecord::decode(record.payload.as_slice())
            .map_err(|error| self.invalid(record.position, error))?;
        Ok((record.position, decoded))
    }

    fn row(&self, position: u64, record: DecisionRecord) -> Result<DecisionRow> {
        let DecisionRecord {
            method: _,
            request,
            snapshot_id,
            events_position,
            now_us,
            seed: _,
            user_events,
            is_live_state_incomplete,
            catalogue_hash: _,
            placement_json: _,
            candidates,
            model_versions: _,
            answer,
            program_version,
            propensity,
            sample_rate,
        } = record;
        let request = wire::RecommendRequest::decode(request.as_slice())
            .map_err(|error| self.invalid(position, error))?;
        let answer = wire::RecommendResponse::decode(answer.as_slice())
            .map_err(|error| self.invalid(position, error))?;
        let mut row = DecisionRow {
            position,
            decided_at_us: now_us,
            user_id: request.user.unwrap_or_default().user_id,
            placement: answer.placement,
            snapshot_id,
            events_position: u64::try_from(events_position).unwrap_or(0),
            used_events: u32::try_from(user_events.len()).unwrap_or(u32::MAX),
            is_live_state_incomplete,
            propensity,
            sample_rate,
            program_version,
            ..DecisionRow::default()
        };
        for item in answer.items {
            row.item_ids.push(item.item_id);
            row.scores.push(item.score);
        }
        for candidate in candidates {
            if candidate.source_scores.len() != CANDIDATE_SOURCES {
                let what = format_args!(
                    "a candidate has {} source scores, not {CANDIDATE_SOURCES}",
                    candidate.source_scores.len()
                );
                return Err(self.invalid(position, what));
            }
            row.candidate_ids.push(candidate.item_id);
            row.candidate_scores.push(candidate.score);
            row.candidate_source_scores.extend(candidate.source_scores);
        }
        Ok(row)
    }

    fn invalid(&self, position: u64, what: impl std::fmt::Display) -> Error {
        Error::data_loss(
            format_args!("{}: decision {position}", self.directory),
            "RECORD_INVALID",
            what,
        )
    }
}
