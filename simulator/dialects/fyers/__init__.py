"""Fyers API v3, as its documentation and its Python client 3.2.0 describe it."""
