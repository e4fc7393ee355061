"""Header names, normalised slowly and from the contract's words alone.

Written without a look at `node_import.parsing`: the two must agree, so they must not share code.
"""

from __future__ import annotations

import unicodedata


def reference_name(text: str, number: int) -> str:
    """The normalised name of the header `text`, the `number`-th column from 1."""
    name = without_latin_accents(unicodedata.normalize("NFKC", text))
    name = words_joined(split_camel_case(name).lower())
    return name or f"column_{number}"  # "an empty name is column_N"


def without_latin_accents(text: str) -> str:
    """Marks go where they sit on a Latin letter; on any other letter they stay."""
    kept: list[str] = []
    on_latin_letter = False
    for character in unicodedata.normalize("NFD", text):
        if is_mark(character):
            if on_latin_letter:
                continue
        else:
            on_latin_letter = is_letter(character) and unicodedata.name(character, "").startswith(
                "LATIN "
            )
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def split_camel_case(text: str) -> str:
    """A `_` before each capital that begins a word; a letter's marks belong to the letter.

    A capital begins a word behind a small letter or a digit (`userID`, `address2Line`), and
    behind another capital when a small letter comes next (`HTTPServer`).
    """
    clusters = letter_clusters(text)
    out: list[str] = []
    for index, cluster in enumerate(clusters):
        before = clusters[index - 1][0] if index > 0 else " "
        after = clusters[index + 1][0] if index + 1 < len(clusters) else " "
        if is_capital(cluster[0]) and (
            is_small(before) or is_digit(before) or (is_capital(before) and is_small(after))
        ):
            out.append("_")
        out.append(cluster)
    return "".join(out)


def words_joined(text: str) -> str:
    """Letters (with their marks) and digits stay; each run of others between them is one `_`."""
    words: list[str] = []
    inside = False
    for cluster in letter_clusters(text):
        if is_letter(cluster[0]) or is_digit(cluster[0]):
            if inside:
                words[-1] += cluster
            else:
                words.append(cluster)
            inside = True
        else:
            inside = False
    return "_".join(words)


def letter_clusters(text: str) -> list[str]:
    """Each character alone, but a letter together with the marks right behind it."""
    clusters: list[str] = []
    for character in text:
        if is_mark(character) and clusters and is_letter(clusters[-1][0]):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def is_letter(character: str) -> bool:
    return unicodedata.category(character).startswith("L")


def is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def is_digit(character: str) -> bool:
    return unicodedata.category(character) == "Nd"


def is_capital(character: str) -> bool:
    return unicodedata.category(character) in ("Lu", "Lt")


def is_small(character: str) -> bool:
    return unicodedata.category(character) == "Ll"
