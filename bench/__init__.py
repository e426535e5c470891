"""Benches: one file per subject, run by `python -m bench.NAME --json`."""
