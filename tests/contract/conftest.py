import pytest

# The suite's cases live in modules of their own; without this their assertions would fail without saying why.
for part in ("login", "placing", "changing", "reading", "market_data"):
    pytest.register_assert_rewrite(f"tests.contract.suite_{part}")
