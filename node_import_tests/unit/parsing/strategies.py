"""Hypothesis strategies that make nasty files, and the rules to read them by.

Interesting structure is rare in random bytes, so most files are strung together from short pieces
that mean something to a parser, and limits are small enough to be passed.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from typing import NamedTuple

from backports import zstd
from hypothesis import strategies as st

from node_import.contracts.node_type import NodeType
from node_import.parsing.rules import ParseRules

BLOCK_BYTES = (1, 2, 3, 7, 16, 64, 4096, ParseRules().block_bytes)
MARK = b"\xef\xbb\xbf"

# Pieces of files, by what they are nasty for. An element is one draw, so that a quote, a line end
# or a delimiter is never rare.
STRUCTURE = (b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b"b1", b" ")
DELIMITERS = (b",", b";", b"\t", b"|")
QUOTED = (b'"a"', b'"",', b'"\n"', b'"b,c"', b'"b;c"', b'x"y', b'"z" ', b'"""', b'"\r\n', b',"')
TEXT = ("é", "ß", "名前", "имя", "हिन्दी", "🙂", "e\u0301", "\u00a0", "\u3000", "\u200b", "\ufeff")
BROKEN_TEXT = (b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\x80")
WHITE = (" ", "\t", "\u00a0", "\u2003", "\u0085", "\x1c", "\x1f", "\u3000", "\u200b", "\x0b")
TYPES = (
    *("", "USER", "user", "UsEr", "PRODUCT", "Resource", " product ", "\u2003USER\u00a0"),
    *("USERS", "uſer", "NODE", "ＵＳＥＲ", "\x1cUSER", "RESOURCE\x1f", "0"),
)
NAMES = (
    *("id", "ID", "Id", "reference_id", "Reference ID", "referenceId", "ref_id", "RefID"),
    *("external_id", "ExternalID", "externalId", "type", "Type", " type ", "userID", "HTTPServer"),
    *(
        "address2Line",
        "Äpfel",
        "Crème brûlée",
        "smørrebrød",
        "Straße",
        "ﬁeld",
        "ａｂｃ",
        "İstanbul",
    ),
    *(
        "имяПользователя",
        "ИмяURL",
        "όνομαΧρήστη",
        "ΟΔΟΣ",
        "नाम",
        "हिन्दीID",
        "اسم",
        "ชื่อ",
        "名前",
        "이름",
    ),
    *("x²", "½", "①", "a\u0308\u0323B", "и\u0306Я", "e\u200de", "٣", "a-b", "__a__", "a  b", "..."),
    *("column_1", "column_2", "", " ", "💥", "ᾈδης", "xᾈδης", "ǅungla", "aǅ", "Ꭰꭰ", "აᲐ", "𐐀𐐨𐐀"),
    *(
        "SHA256Hash",
        "iPhone",
        "userIDs",
        "éÉ",
        "ÉÉé",
        "ª",
        "ʰ",
        "a\u20dd",
        "1\ufe0f\u20e3",
        "Ⅷ",
        "〇",
    ),
)


class NastyFile(NamedTuple):
    """What is read, and by which rules."""

    data: bytes
    rules: ParseRules


def pieces(
    *groups: tuple[bytes, ...] | tuple[str, ...], max_size: int = 40
) -> st.SearchStrategy[bytes]:
    """Bytes strung together from the pieces of `groups`."""
    choices = [
        piece.encode() if isinstance(piece, str) else piece for group in groups for piece in group
    ]
    return st.lists(st.sampled_from(choices), max_size=max_size).map(b"".join)


def dense_bodies() -> st.SearchStrategy[bytes]:
    """Rows in which every other byte decides something; from tiny alphabets to wide ones."""
    return st.one_of(
        pieces((b'"', b",", b"\n", b"a"), max_size=24),
        pieces(STRUCTURE),
        pieces(STRUCTURE, QUOTED),
        pieces(STRUCTURE, DELIMITERS, QUOTED),
        pieces(STRUCTURE, DELIMITERS, BROKEN_TEXT),
        pieces(STRUCTURE, QUOTED, TEXT, BROKEN_TEXT, WHITE),
        st.text(alphabet='a", \n\r;\t|', max_size=40).map(str.encode),
    )


def plain_headers() -> st.SearchStrategy[bytes]:
    """Headers that a row can follow: one to four columns, each delimiter, quotes, blank lines."""
    return st.sampled_from(
        [
            *(
                b"id\n",
                b"id\r\n",
                b"id,name\n",
                b"name,id,type\n",
                b'"id","a\nb"\n',
                MARK + b"id,v\n",
            ),
            *(b"id;name\r\n", b"type\tref_id\tx\n", b"id|a|b|c\n", b"\n\r\nid,name\n", b"id,,\n"),
            *(
                b'"id";"a,b";type\n',
                b'id,"say ""hi"""\n',
                MARK + b'"id",n\r\n',
                b"id,external_id\n",
            ),
        ]
    )


@st.composite
def dense_files(draw: st.DrawFn) -> bytes:
    """A header that can be read, then dense rows."""
    return draw(plain_headers()) + draw(dense_bodies())


@st.composite
def dense_headers(draw: st.DrawFn) -> bytes:
    """Files whose header is dense too, so that most of them are faults."""
    names = (b"id", b"ref_id", b"A", b"b", b"a b", b"type")
    header = draw(
        pieces(STRUCTURE, DELIMITERS, DELIMITERS, QUOTED, BROKEN_TEXT[:2], names, max_size=14)
    )
    mark = draw(st.sampled_from([b"", b"", b"", MARK, b"\xff\xfe", b"\xfe\xff", b"\n", b"\r"]))
    end = draw(st.sampled_from([b"\n", b"\r\n", b""]))
    return mark + header + end + draw(dense_bodies())


def cells() -> st.SearchStrategy[str]:
    """Values as tables have them, the nasty ones included."""
    white = st.sampled_from(WHITE)
    return st.one_of(
        st.sampled_from(
            ["", "a", "b", "x1", "ref-1", 'q"', '"', "a,b", "a;b|c\td", "l\n", "\r\n", "\r"]
        ),
        st.sampled_from(TYPES),
        st.sampled_from(TEXT),
        st.text(max_size=8),
        st.builds("{}{}{}".format, white, st.sampled_from(["r", "r r", ""]), white),
        st.integers(1, 40).map(lambda size: "é" * size),
    )


def written(cell: str, delimiter: str, style: str) -> str:
    """`cell` as a writer would put it down, or as a careless one would."""
    quoted = '"' + cell.replace('"', '""') + '"'
    needs = cell.startswith('"') or any(mark in cell for mark in (delimiter, "\n", "\r"))
    return {
        "minimal": quoted if needs else cell,
        "always": quoted,
        "bare": cell,
        "careless": f'"{cell}"',
        "tail": f"{quoted} ",
        "open": f'"{cell}',
    }[style]


STYLES = ("minimal",) * 8 + ("always",) * 4 + ("bare", "careless", "tail", "open")
LINE_ENDS = ("\n",) * 6 + ("\r\n",) * 3 + ("\n\n", "\n\r\n", "\r", "")


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A header of real names and up to a dozen rows, mostly well-formed."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    if draw(st.integers(0, 9)) > 0:
        names.insert(draw(st.integers(0, len(names))), "reference_id")
    style = st.sampled_from(STYLES)
    lines = [names]
    for _ in range(draw(st.integers(0, 12))):
        surplus = draw(st.sampled_from([0] * 12 + [-1, 1]))
        width = max(1, len(names) + surplus)
        lines.append(draw(st.lists(cells(), min_size=width, max_size=width)))
    out = ""
    for line in lines:
        out += delimiter.join(
            written(cell, delimiter, draw(style) if line is not names else "minimal")
            for cell in line
        ) + draw(st.sampled_from(LINE_ENDS))
    data = out.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(BROKEN_TEXT)) + data[at:]
    return draw(st.sampled_from([b"", b"", MARK])) + data


def plain_files() -> st.SearchStrategy[bytes]:
    """Any of the above, and now and then bytes that are no table at all."""
    return st.one_of(
        dense_files(), dense_files(), dense_headers(), tables(), tables(), st.binary(max_size=60)
    )


def pieces_cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in consecutive parts, cut at the given places."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@st.composite
def compressed(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """A file as one or several gzip members or zstd frames, whole or spoilt at its end."""
    parts = pieces_cut(draw(files), draw(st.lists(st.integers(0, 80), max_size=3)))
    if draw(st.integers(0, 3)) == 0:
        whole = b"".join(zstd.compress(part) for part in parts)
        return draw(st.sampled_from([whole, whole, whole[:-1], whole + b"x"]))
    level = draw(st.sampled_from([0, 1, 9]))
    whole = b"".join(gzip.compress(part, level, mtime=0) for part in parts)
    spoilt = draw(st.integers(0, 9))
    if spoilt < 4:
        return whole
    if spoilt < 6:
        return whole + b"\0" * draw(st.integers(1, 600))
    if spoilt < 8:
        return whole[: draw(st.integers(2, len(whole)))]
    tails = [b"x", b"\0x", b"\n", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"id\n1\n"]
    if spoilt == 8:
        return whole + draw(st.sampled_from(tails))
    at = len(whole) - draw(st.integers(1, 8))  # the last member's checksum or length
    return whole[:at] + bytes([whole[at] ^ draw(st.integers(1, 255))]) + whole[at + 1 :]


def named_gzip(data: bytes) -> bytes:
    """A gzip member with every optional header field: extra, name, comment, header checksum."""
    header = (
        b"\x1f\x8b\x08" + bytes([2 | 4 | 8 | 16]) + bytes(6) + b"\x03\0ext" + b"n.csv\0" + b"c\0"
    )
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + gzip.compress(data, mtime=0)[10:]


@st.composite
def small_rules(draw: st.DrawFn) -> ParseRules:
    """Limits that a file of a few dozen bytes can pass, each on its own or all together."""
    default = ParseRules()

    def limit(usual: int, *small: int) -> int:
        return draw(st.sampled_from([usual, usual, *small]))

    record = limit(default.max_record_bytes, 8, 12, 16, 33)
    return ParseRules(
        default_type=draw(st.sampled_from(NodeType)),
        reference_columns=draw(
            st.sampled_from(
                [default.reference_columns] * 4 + [("name", "id"), ("type_id", "b", "a")]
            )
        ),
        block_bytes=draw(st.sampled_from(BLOCK_BYTES)),
        max_header_bytes=limit(default.max_header_bytes, 8, 16, 24, 40),
        max_columns=limit(default.max_columns, 1, 2, 4),
        max_name_chars=limit(default.max_name_chars, 4, 9, 12),
        max_reference_chars=limit(default.max_reference_chars, 1, 2, 3, 8),
        max_record_bytes=record,
        max_value_bytes=limit(default.max_value_bytes, 1, 3, 7, 16),
        max_rejects=limit(default.max_rejects, default.max_rejects, 0, 1, 2),
    )


@st.composite
def nasty_files(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> NastyFile:
    """One of `files` with the contract's limits but any block size, or with small limits."""
    rules = st.one_of(
        st.builds(ParseRules, block_bytes=st.sampled_from(BLOCK_BYTES)), small_rules()
    )
    return NastyFile(draw(files), draw(rules))
