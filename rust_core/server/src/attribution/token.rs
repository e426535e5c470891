//! The bytes of a token: 24 of claims, 16 of signature, spelled in base64url without padding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use promosvc_engine::types::TimeUs;

use crate::wire::promosvc::log::v1::Exposure;

/// Length of every token.
pub(super) const TOKEN_CHARS: usize = 54;
/// Bytes of the signature: half of the HMAC, which leaves 2^128 to guess.
pub(super) const SIGNATURE_BYTES: usize = 16;
/// The only format so far.
const FORMAT: u8 = 1;
const CLAIMS_BYTES: usize = 24;
const TOKEN_BYTES: usize = CLAIMS_BYTES + SIGNATURE_BYTES;

/// Half an HMAC-SHA256.
pub(super) type Signature = [u8; SIGNATURE_BYTES];

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Claims {
    pub(super) key_id: u8,
    pub(super) snapshot_hash: [u8; 8],
    pub(super) decided_at: TimeUs,
    pub(super) arm: u8,
    pub(super) rank: u8,
    pub(super) propensity: f32,
}

impl Claims {
    /// As signed and spelled: little-endian, the hash as it reads.
    pub(super) fn to_bytes(self) -> [u8; CLAIMS_BYTES] {
        let Claims {
            key_id,
            snapshot_hash,
            decided_at,
            arm,
            rank,
            propensity,
        } = self;
        let mut bytes = [0; CLAIMS_BYTES];
        bytes[0] = FORMAT;
        bytes[1] = key_id;
        bytes[2..10].copy_from_slice(&snapshot_hash);
        bytes[10..18].copy_from_slice(&decided_at.0.to_le_bytes());
        bytes[18] = arm;
        bytes[19] = rank;
        bytes[20..24].copy_from_slice(&propensity.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; CLAIMS_BYTES]) -> Option<Self> {
        let [
            FORMAT,
            key_id,
            h0,
            h1,
            h2,
            h3,
            h4,
            h5,
            h6,
            h7,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            arm,
            rank,
            p0,
            p1,
            p2,
            p3,
        ] = *bytes
        else {
            return None;
        };
        Some(Self {
            key_id,
            snapshot_hash: [h0, h1, h2, h3, h4, h5, h6, h7],
            decided_at: TimeUs(i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            arm,
            rank,
            propensity: f32::from_le_bytes([p0, p1, p2, p3]),
        })
    }

    /// As it stands in the event log.
    pub(super) fn into_exposure(self) -> Exposure {
        let Claims {
            key_id: _,
            snapshot_hash,
            decided_at,
            arm,
            rank,
            propensity,
        } = self;
        Exposure {
            snapshot_hash: format!("{:016x}", u64::from_be_bytes(snapshot_hash)),
            decided_at_us: decided_at.0,
            arm: match arm {
                0 => "default".to_owned(),
                number => number.to_string(),
            },
            rank: i32::from(rank),
            propensity,
        }
    }
}

/// Spells a token.
pub(super) fn encode(claims: &Claims, signature: &Signature) -> [u8; TOKEN_CHARS] {
    let mut bytes = [0; TOKEN_BYTES];
    bytes[..CLAIMS_BYTES].copy_from_slice(&claims.to_bytes());
    bytes[CLAIMS_BYTES..].copy_from_slice(signature);
    let mut text = [0; TOKEN_CHARS];
    // 40 bytes are 54 characters: it cannot fail, and a token that was not spelled would not verify.
    let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    text
}

/// Reads a token; its signature is still to be checked.
pub(super) fn decode(token: &str) -> Option<(Claims, Signature)> {
    if token.len() != TOKEN_CHARS {
        return None;
    }
    let mut bytes = [0; TOKEN_BYTES];
    let read = URL_SAFE_NO_PAD.decode_slice_unchecked(token, &mut bytes);
    if read != Ok(TOKEN_BYTES) {
        return None;
    }
    let (claims, signature) = bytes.split_first_chunk::<CLAIMS_BYTES>()?;
    Some((
        Claims::from_bytes(claims)?,
        *signature.first_chunk::<SIGNATURE_BYTES>()?,
    ))
}

/// The last part of a snapshot's id, 16 hex digits, as bytes.
pub(super) fn snapshot_hash(snapshot_id: &str) -> Option<[u8; 8]> {
    let digits = snapshot_id.rsplit('-').next()?;
    if digits.len() != 16 {
        return None;
    }
    Some(u64::from_str_radix(digits, 16).ok()?.to_be_bytes())
}
