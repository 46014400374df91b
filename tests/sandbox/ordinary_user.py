"""Examines a backend as whoever runs this: prints one JSON line per promise and attack. Needs no package but ours.

Usage: ordinary_user.py BACKEND
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from holes import BACKENDS

from r1ci_plugins.sandbox.checks.attacks import ATTACKS
from r1ci_plugins.sandbox.checks.bench import opened
from r1ci_plugins.sandbox.checks.promises import PROMISES


async def main(backend: str) -> None:
    for suite, concurrency in ((PROMISES, 2), (ATTACKS, 1)):
        async with opened(BACKENDS[backend], concurrency=concurrency) as bench:
            # A program that forks all the time may get past whoever counts its processes, but not every time.
            restless = [attack for attack in ATTACKS if attack.name == "daemons"] * 9
            for item in [*suite, *(restless if suite is ATTACKS else [])]:
                print(json.dumps(asdict(await item.examine(bench))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
