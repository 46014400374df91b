"""The CPU cores that this process may really use: fewer than the machine shows where a container has a quota."""

import os
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """Whole cores of this process: those that it may run on, or its control groups' quota where that is lower.

    Args:
        root: Where ``proc`` and ``sys`` are.

    Returns:
        At least 1, also for a quota of half a core.
    """
    quotas = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    return max(1, int(min([len(os.sched_getaffinity(0)), *quotas])))


def _groups(root: Path) -> list[Path]:
    """Folders of this process's control groups and of all above them, versions 1 and 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        place = top / path.lstrip("/")
        # In a container the path may be the host's; its own group is then at the top.
        found += [place, *[parent for parent in place.parents if parent.is_relative_to(top)]]
    return found


def _quota(group: Path) -> float | None:
    """A group's quota in cores; None for none."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max": no quota
        return None
    return cores if cores > 0 else None
