"""Angel One's SmartAPI. Protocol facts come from its public documentation, Python SDK 1.5.5 and forum, as of mid 2026."""
