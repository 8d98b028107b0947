"""The control API: how tests, demos and people steer the exchange."""
