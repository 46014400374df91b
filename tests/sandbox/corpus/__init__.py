"""Programs as models write them, by family. A family is a name and its programs' sources by name."""

from __future__ import annotations

from collections.abc import Mapping

from . import ending, erring, everyday, importing, inspecting, processes, sources, streams

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "everyday": everyday.PROGRAMS,
    "erring": erring.PROGRAMS,
    "ending": ending.PROGRAMS,
    "importing": importing.PROGRAMS,
    "inspecting": inspecting.PROGRAMS,
    "processes": processes.PROGRAMS,
    "sources": sources.PROGRAMS,
    "streams": streams.PROGRAMS,
}
