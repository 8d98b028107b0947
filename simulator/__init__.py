"""A stand-in exchange that speaks brokers' own wire protocols. See README.md beside this file."""
