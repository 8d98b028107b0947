"""Measurements of the platform as it ships: `make bench` (docs/performance.md)."""
