"""How bench/race talks to a contestant: it warms up, says so, and does its work once for each line of standard input.

    yes '' | head -5 | python bench/head_pytorch.py        five epochs and the seconds of each
"""
import json
import sys
import time


def take_turns(work, **about):
    """Prints about as JSON once work has run for the first time, then {"seconds": …} for each line read."""
    work()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
