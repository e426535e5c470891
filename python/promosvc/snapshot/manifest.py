"""`manifest.json` and the identity that it gives."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from promosvc.snapshot.content import SnapshotContent
from promosvc.snapshot.tables import feature_file

FORMAT_VERSION = 2


def canonical_json(document: Any) -> bytes:
    """JSON with sorted keys, without spaces, in UTF-8: equal documents give equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def manifest_bytes(
    content: SnapshotContent,
    schemas: Mapping[str, pa.Schema],
    files: Mapping[str, Mapping[str, Any]],
) -> bytes:
    """The bytes of `manifest.json`.

    Args:
        content: what the snapshot holds.
        schemas: Arrow schema by file.
        files: for each file but the manifest its `bytes`, `sha256` and `rows`.
    """
    views = [
        {
            "name": rows.name,
            "entity": rows.entity,
            "ttl_seconds": rows.ttl_seconds,
            "file": feature_file(rows.name),
            "features": [
                {"name": name, "type": type_, "dictionary": list(dictionary)}
                for name, type_, dictionary in rows.features
            ],
        }
        for rows in sorted(content.features, key=lambda rows: rows.name)
    ]
    fingerprint = {
        "files": {
            file: [[field.name, str(field.type), field.nullable] for field in schema]
            for file, schema in schemas.items()
        },
        "feature_views": views,
    }
    models = [
        {
            "name": model.name,
            "version": model.version
            or _version([files[file]["sha256"] for file in model.files], model.parameters),
            "parameters": dict(model.parameters),
        }
        for model in sorted(content.models, key=lambda model: model.name)
    ]
    document = {
        "format_version": FORMAT_VERSION,
        "watermark_at_us": content.watermark_at_us,
        "events_position": content.events_position,
        "seed": content.seed,
        "schema_fingerprint": hashlib.sha256(canonical_json(fingerprint)).hexdigest(),
        "library_versions": dict(content.library_versions),
        "files": {file: dict(entry) for file, entry in files.items()},
        "history_events": list(content.history.events),
        "models": models,
        "feature_views": views,
    }
    return canonical_json(document) + b"\n"


def snapshot_id(watermark_at_us: int, manifest: bytes) -> str:
    """The id: the watermark to the second, and the first 16 hex digits of the manifest's SHA-256."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=watermark_at_us)
    # strftime does not pad years below 1000 on every platform.
    stamp = f"{at.year:04}{at:%m%dT%H%M%S}Z"
    return f"{stamp}-{hashlib.sha256(manifest).hexdigest()[:16]}"


def _version(sha256_of_files: list[str], parameters: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json([sha256_of_files, dict(parameters)])).hexdigest()[:16]
