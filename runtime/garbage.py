"""Python's search for unreachable cycles, kept out of the way of orders.

A full collection looks at every object there is, half of which are modules that never go: some 80 ms in a worker that has just
started, and more with each strategy, while a crossed stop waits. What was loaded at the start is left out for good, the young and
the middle are looked at in small portions (of ten thousand young they took 10 to 30 ms on a busy machine, and of two hundred
thousand in the middle 130 ms, amid a herd), and all of the rest seldom. Nothing here is built in cycles that would pile up.
"""

import gc

# How many new objects make a portion, how many portions a middle collection, and how many of those a full one. Two million
# objects, some 200 MB, wait unreachable at most.
PORTION, PORTIONS, MIDDLES = 2_000, 10, 100


def collect_seldom() -> None:
    """Call once per process, when its modules are loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(PORTION, PORTIONS, MIDDLES)
