"""SmartAPI, Angel One's protocol (public documentation, Python SDK 1.5.5)."""
