"""The version answered by /health and written into the OpenAPI document."""

VERSION = "0.1.0"
