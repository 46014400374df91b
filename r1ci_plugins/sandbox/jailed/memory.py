"""The zygote's memory, laid out so that a fork and its child's end cost little."""

from __future__ import annotations

import ctypes

MIB = 1 << 20
HUGE = 2 * MIB
MADV_COLLAPSE = 25
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE_ANONYMOUS, MREMAP_MAYMOVE_FIXED = 1, 2, 4, 0x22, 3

libc = ctypes.CDLL(None, use_errno=True)
libc.madvise.argtypes = libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mmap.restype = ctypes.c_ssize_t


def fill_gaps() -> None:
    """Fill what importing left free between the libraries' objects, so that jobs get pages of their own.

    Otherwise each of a job's objects writes to a page in another place, which has to be copied, and breaks up a huge
    page there. Small objects come from the interpreter's arenas, by size in steps of 16 bytes.
    """
    arenas = [(begin, end) for begin, end, permissions, name in mappings() if (permissions, name) == ("rw-p", "")]
    arenas = [(begin, end) for begin, end in arenas if end - begin >= MIB]
    room = 16 * MIB  # a limit, because with an allocator that has no arenas the search would never end
    for size in range(512, 0, -16):
        block: object = None
        while room > 0 and (block is None or any(begin <= id(block) < end for begin, end in arenas)):
            block = object() if size == 16 else float(size) if size == 32 else bytes(size - 33)
            FILLING.append(block)
            room -= size


FILLING: list[object] = []


def mappings() -> list[tuple[int, int, str, str]]:
    """This process's memory: begin, end, permissions and name (a file's path, or nothing) of each mapping."""
    found = []
    with open("/proc/self/maps") as lines:
        for line in lines:
            span, permissions, _, _, _, *name = line.split(None, 5)
            begin, end = (int(part, 16) for part in span.split("-"))
            found.append((begin, end, permissions, name[0].strip() if name else ""))
    return found


def merge_mappings() -> None:
    """Halve the number of mappings, each of which costs a fork and the child's end a microsecond.

    A library is four or five mappings, because parts of it are only read, or not written after loading. With the
    permissions of their neighbours, these parts join them. That protects nobody in a jail, where
    programs may map and execute whatever they like.
    """
    found = mappings()
    programs = {name for _, _, permissions, name in found if permissions == "r-xp" and name.startswith("/")}
    for (begin, end, permissions, name), following in zip(found, found[1:], strict=False):
        if permissions == "r--p" and name in programs:
            relocated = following[0] == end and following[2:] == ("rw-p", name)
            libc.mprotect(begin, end - begin, PROT_READ | (PROT_WRITE if relocated else PROT_EXEC))


def move_text() -> None:
    """Put the interpreter's machine code into huge pages: a fork copies their two entries, and no child faults.

    Pages of a file are not copied by a fork: each child would fault in some fifty pieces of the interpreter again.
    """
    inside = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value or 0
    begin, end = next((begin, end) for begin, end, _, _ in mappings() if begin <= inside < end)
    size = end - begin
    place = libc.mmap(None, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
    if place < 0:
        return
    copy = place + (begin - place) % HUGE
    ctypes.memmove(copy, begin, size)
    collapse(copy, copy + size)
    if libc.mprotect(copy, size, PROT_READ | PROT_EXEC) == 0:
        libc.mremap(copy, size, size, MREMAP_MAYMOVE_FIXED, begin)
    libc.munmap(place, size + HUGE)


def collapse_memory() -> None:
    """Put the interpreter's data into huge pages, where the kernel can: a fork then copies a tenth of the tables."""
    for begin, end, permissions, name in mappings():
        if permissions == "rw-p" and name in ("", "[heap]"):
            collapse(begin, end)


def collapse(begin: int, end: int) -> None:
    """Put the memory between two addresses into huge pages, as far as it fills whole ones."""
    for start in range(-(-begin // HUGE) * HUGE, end - HUGE + 1, HUGE):
        libc.madvise(start, HUGE, MADV_COLLAPSE)
