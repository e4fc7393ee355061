"""Normalised column names: `userID`, `User Id` and `USER-ID` are all `user_id`."""

from __future__ import annotations

import unicodedata

_MARKS = frozenset({"Mn", "Mc", "Me"})


def normalised_name(text: str, position: int) -> str:
    """The normalised form of one header field; `position` counts from 1.

    The steps and their order are the contract's ("Normalised header").
    """
    plain = _without_latin_accents(unicodedata.normalize("NFKC", text))
    lowered = _split_camel_case(plain).lower()
    return _joined_by_underscores(lowered) or f"column_{position}"


def _without_latin_accents(text: str) -> str:
    """Drop the marks that belong to a Latin letter; other scripts keep theirs (`й`, `が`)."""
    kept: list[str] = []
    after_latin = False
    for character in text:
        if unicodedata.category(character) in _MARKS:
            if not after_latin:
                kept.append(character)
            continue
        base = unicodedata.normalize("NFD", character)[0]
        after_latin = unicodedata.name(base, "").startswith("LATIN ")
        kept.append(base if after_latin else character)
    return "".join(kept)


def _split_camel_case(text: str) -> str:
    """Put an underscore where a new word begins with a capital letter."""
    letters = [(at, _class_of(character)) for at, character in enumerate(text)]
    letters = [(at, kind) for at, kind in letters if kind != "m"]
    breaks = set()
    for index in range(1, len(letters)):
        at, kind = letters[index]
        before = letters[index - 1][1]
        after = letters[index + 1][1] if index + 1 < len(letters) else ""
        if kind == "U" and (before in {"l", "9"} or (before == "U" and after == "l")):
            breaks.add(at)
    return "".join(f"_{c}" if at in breaks else c for at, c in enumerate(text))


def _class_of(character: str) -> str:
    category = unicodedata.category(character)
    if category in _MARKS:
        return "m"
    if category in {"Lu", "Lt"}:
        return "U"
    return {"Ll": "l", "Nd": "9"}.get(category, "x")


def _joined_by_underscores(text: str) -> str:
    """Letters with their marks and decimal digits stay; every run of others becomes one `_`."""
    kept: list[str] = []
    in_letter = False
    for character in text:
        category = unicodedata.category(character)
        in_letter = category[0] == "L" or (in_letter and category in _MARKS)
        if in_letter or category == "Nd":
            kept.append(character)
        elif kept and kept[-1] != "_":
            kept.append("_")
    return "".join(kept).rstrip("_")
