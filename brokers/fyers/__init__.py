"""Fyers API v3. Protocol facts come from its documentation (export of 9 July 2026) and its Python client 3.2.0."""
