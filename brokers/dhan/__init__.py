"""Dhan's DhanHQ v2. Protocol facts come from its public documentation, the dhanhq 2.3.0 client and users' reports, as of
September 2026."""
