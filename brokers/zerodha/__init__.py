"""Zerodha's Kite Connect v3. Protocol facts come from its public documentation, SDKs and forum, as of September 2026."""
