"""DhanHQ v2 as its documentation and its client describe it."""
