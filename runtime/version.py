"""The version of every process: answered by /health, told by each heartbeat, written into the OpenAPI document."""

VERSION = "0.1.0"
