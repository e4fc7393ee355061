"""XXH64 in plain Python, from its specification: slow, and independent of any library.

github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

P1 = 0x9E3779B185EBCA87
P2 = 0xC2B2AE3D27D4EB4F
P3 = 0x165667B19E3779F9
P4 = 0x85EBCA77C2B2AE63
P5 = 0x27D4EB2F165667C5
MASK = (1 << 64) - 1


def xxh64(data: bytes) -> int:
    """The unsigned 64-bit hash of `data` with seed 0."""
    position = 0
    if len(data) >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while position + 32 <= len(data):
            for index in range(4):
                lanes[index] = _round(lanes[index], _word(data, position + 8 * index, 8))
            position += 32
        state = sum(_rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            state = ((state ^ _round(0, lane)) * P1 + P4) & MASK
    else:
        state = P5
    state = _tail(data, position, (state + len(data)) & MASK)
    state = ((state ^ state >> 33) * P2) & MASK
    state = ((state ^ state >> 29) * P3) & MASK
    return state ^ state >> 32


def _tail(data: bytes, position: int, state: int) -> int:
    while position + 8 <= len(data):
        state = (_rotate(state ^ _round(0, _word(data, position, 8)), 27) * P1 + P4) & MASK
        position += 8
    if position + 4 <= len(data):
        state = (_rotate(state ^ (_word(data, position, 4) * P1 & MASK), 23) * P2 + P3) & MASK
        position += 4
    for byte in data[position:]:
        state = _rotate(state ^ (byte * P5 & MASK), 11) * P1 & MASK
    return state


def _word(data: bytes, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size], "little")


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & MASK


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * P2) & MASK, 31) * P1 & MASK
