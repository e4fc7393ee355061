"""Normalised column names."""

from __future__ import annotations

import unicodedata

import pytest

from node_import.parsing.column_names import normalised_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("userID", "user_id"),
        ("HTTPServer", "http_server"),
        ("address2Line", "address2_line"),
        ("UUIDv4", "uui_dv4"),
        ("MP3Player", "mp3_player"),
        ("User Id", "user_id"),
        ("  --First   Name!! ", "first_name"),
        ("snake_case", "snake_case"),
        ("__x__", "x"),
        ("100%", "100"),
    ],
)
def test_words_are_joined_by_one_underscore(text: str, expected: str) -> None:
    """Camel case, blanks and punctuation all separate words; none is left at the ends."""
    assert normalised_name(text, 1) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Prénom", "prenom"),
        ("Pre\u0301nom", "prenom"),
        ("ÇağrıNo", "cagrı_no"),
        ("q\u0308x", "qx"),
        ("Größe", "große"),
        ("Søren", "søren"),
        ("Łódź", "łodz"),
        ("ﬁeld", "field"),
        ("ＩＤ", "id"),
        ("x²", "x2"),
        ("Å", "a"),
    ],
)
def test_latin_letters_lose_their_accents(text: str, expected: str) -> None:
    """After NFKC; letters that do not decompose stay as they are."""
    assert normalised_name(text, 1) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ИмяПользователя", "имя_пользователя"),
        ("й", "й"),
        ("ΌνομαΧρήστη", "όνομα_χρήστη"),
        ("ΟΔΟΣ", "οδος"),
        ("が", "が"),
        ("か\u3099", "が"),
        ("हिन्दी", "हिन्दी"),
        ("用户ID", "用户id"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("a\u0301Б\u0301в", "a_б\u0301в"),
        ("عدد ٣", "عدد_٣"),
    ],
)
def test_other_scripts_keep_their_marks(text: str, expected: str) -> None:
    """Combining marks stay with their letter, capitals of every script begin words."""
    assert normalised_name(text, 1) == unicodedata.normalize("NFKC", expected)


@pytest.mark.parametrize("text", ["", "   ", "!!!", "\u0301", "\ufe0f\u20e3"])
def test_a_name_of_nothing_is_named_by_its_position(text: str) -> None:
    """Without a letter or digit, marks alone among them, a column has its number for a name."""
    assert normalised_name(text, 3) == "column_3"


def test_marks_without_a_letter_separate() -> None:
    """A mark behind a digit belongs to no letter, so it is like punctuation."""
    assert normalised_name("1\u20e32", 1) == "1_2"
