"""Kite Connect v3, as its documentation and public fixtures describe it."""
