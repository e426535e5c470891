//! What came of deciding again, and how a program reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What came of deciding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Place in the decision log.
    pub position: u64,
    /// When it was made first, in microseconds since 1970-01-01 UTC; 0 where even the record is gone.
    pub decided_at_us: i64,
    /// The snapshot; empty where even the record is gone.
    pub snapshot_id: String,
    /// The verdict.
    pub verdict: Verdict,
}

/// Whether a decision came out as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the same bytes.
    Same,
    /// Not so.
    Different {
        /// The answer of the record, encoded.
        recorded: Vec<u8>,
        /// The answer now, encoded.
        replayed: Vec<u8>,
        /// Whether the catalogue was the same.
        is_catalogue_same: bool,
    },
    /// What it was made from is gone; says what.
    NotRetained(String),
}

/// What was replayed as a JSON array; answers are base64.
pub fn replayed_to_json(all: &[Replayed]) -> String {
    let one = |replayed: &Replayed| {
        let Replayed {
            position,
            decided_at_us,
            snapshot_id,
            verdict,
        } = replayed;
        let mut object = json!({
            "position": position,
            "decided_at_us": decided_at_us,
            "snapshot_id": snapshot_id,
        });
        match verdict {
            Verdict::Same => object["verdict"] = "SAME".into(),
            Verdict::Different {
                recorded,
                replayed,
                is_catalogue_same,
            } => {
                object["verdict"] = "DIFFERENT".into();
                object["recorded"] = STANDARD.encode(recorded).into();
                object["replayed"] = STANDARD.encode(replayed).into();
                object["is_catalogue_same"] = (*is_catalogue_same).into();
            }
            Verdict::NotRetained(what) => {
                object["verdict"] = "NOT_RETAINED".into();
                object["missing"] = what.as_str().into();
            }
        }
        object
    };
    Value::Array(all.iter().map(one).collect()).to_string()
}
