"""Hypothesis strategies that make nasty files.

Interesting structure is rare in random bytes, so most files are strung together from short pieces
that mean something to a parser.
"""

from __future__ import annotations

from hypothesis import strategies as st

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
# fmt: off
NAMES = (
    "id", "ID", "Id", "reference_id", "Reference ID", "referenceId", "ref_id", "RefID",
    "external_id", "ExternalID", "externalId", "type", "Type", " type ", "userID", "HTTPServer",
    "address2Line", "Äpfel", "Crème brûlée", "smørrebrød", "Straße", "ﬁeld", "ａｂｃ", "İstanbul",
    "имяПользователя", "ИмяURL", "όνομαΧρήστη", "ΟΔΟΣ", "नाम", "हिन्दीID", "اسم", "ชื่อ", "名前",
    "이름", "x²", "½", "①", "a\u0308\u0323B", "и\u0306Я", "e\u200de", "٣", "a-b", "__a__", "a  b",
    "...", "column_1", "column_2", "", "💥", "ᾈδης", "xᾈδης", "ǅungla", "aǅ", "Ꭰꭰ", "აᲐ", "𐐀𐐨𐐀",
    " ", "SHA256Hash", "iPhone", "userIDs", "éÉ", "ÉÉé", "ª", "ʰ", "a\u20dd", "1\ufe0f\u20e3", "Ⅷ",
    "〇",
)
# fmt: on


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


# fmt: off
# Headers that rows can follow, with their delimiters and numbers of columns.
HEADERS = (
    (b"id\n", b",", 1), (b"id\r\n", b",", 1), (b"id,v\n", b",", 2), (MARK + b"id,v\n", b",", 2),
    (b'"id","a\nb"\n', b",", 2), (b"id;v\r\n", b";", 2), (b"v|id\n", b"|", 2),
    (b"type\tref_id\tx\n", b"\t", 3), (b"name,id,type\n", b",", 3), (b"id,,\n", b",", 3),
    (b"\n\r\nid,name\n", b",", 2), (b'"id";"a,b";type\n', b";", 3), (b"id|a|b|c\n", b"|", 4),
    (b'id,"say ""hi"""\n', b",", 2), (MARK + b'"id",n\r\n', b",", 2), (b"id,ID2\n", b",", 2),
)
FIELDS = (
    b"a", b"b1", b"", b" ", b"6'2\"", b'a"b', b'x""', b' "x"', b"USER", b"product", b"\r", b"x\ry",
    b'"a"', b'""', b'"a,b;c|d\te"', b'"l\nm"', b'"\r\n"', b'"\n\n"', b'""""', b'"q""r"', b'"\r"',
    b'"a"x', b'"a" ', b'"', b'"a', b'"l\nm', b'"""', b'"a"\r', b'"x""y', "é名".encode(),
    b"\xff", b"\0",
)
HEADER_FIELDS = (
    b"id", b"id", b"a", b'"id"', b'"b,c"', b'"d;e"', b'"f\ng"', b'"h', b'i"j', b"type", b"",
)
# fmt: on


@st.composite
def dense_rows(draw: st.DrawFn, delimiter: bytes, width: int) -> bytes:
    """Rows that mostly have the right number of fields, half of the fields odd."""
    out = b""
    for _ in range(draw(st.integers(0, 8))):
        surplus = draw(st.sampled_from([0] * 10 + [-1, 1]))
        fields = st.sampled_from(FIELDS) | st.sampled_from(FIELDS[:2])
        row = draw(st.lists(fields, min_size=width + surplus, max_size=width + surplus))
        out += delimiter.join(row) + draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b""]))
    return out


@st.composite
def dense_files(draw: st.DrawFn) -> bytes:
    """A header that can be read, then dense rows."""
    header, delimiter, width = draw(st.sampled_from(HEADERS))
    if draw(st.booleans()):
        return header + draw(dense_rows(delimiter, width))
    return header + draw(dense_bodies())


@st.composite
def mostly_plain_files(draw: st.DrawFn) -> bytes:
    """Many plain lines with a few odd ones among them: what a fast way takes in one stride."""
    header, delimiter, width = draw(st.sampled_from(HEADERS))
    plain = st.integers(1, 30).map(
        lambda rows: b"".join(delimiter.join([b"%d" % row] * width) + b"\n" for row in range(rows))
    )
    kind = draw(st.sampled_from([FIELDS[:10], FIELDS[12:21], FIELDS[:21], FIELDS]))
    odd = st.lists(st.sampled_from(kind), min_size=width, max_size=width).map(
        lambda fields: delimiter.join(fields) + b"\n"
    )
    out = header
    for _ in range(draw(st.integers(1, 4))):
        out += draw(plain) + draw(odd)
    return out + draw(plain)


@st.composite
def dense_headers(draw: st.DrawFn) -> bytes:
    """Files whose header is dense too, so that many of them are faults."""
    if draw(st.booleans()):
        delimiters = draw(st.sampled_from(["," * 8 + ";|\t", ";" * 8 + ",|", ";,", "|;,\t"]))
        header = b"".join(
            draw(st.sampled_from(HEADER_FIELDS)) + draw(st.sampled_from(delimiters)).encode()
            for _ in range(draw(st.integers(1, 4)))
        ) + draw(st.sampled_from(HEADER_FIELDS))
    else:
        names = (b"id", b"ref_id", b"A", b"b", b"a b", b"type")
        header = draw(pieces(STRUCTURE, DELIMITERS, QUOTED, BROKEN_TEXT[:2], names, max_size=10))
    mark = draw(st.sampled_from([b""] * 6 + [MARK, b"\xff\xfe", b"\xfe\xff", b"\n", b"\r"]))
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b""]))
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


STYLES = ("minimal",) * 20 + ("always",) * 8 + ("bare", "careless", "tail", "open")
LINE_ENDS = ("\n",) * 6 + ("\r\n",) * 3 + ("\n\n", "\n\r\n", "\r", "")


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A header of real names and up to a dozen rows, mostly well-formed."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    if draw(st.integers(0, 9)) > 0:
        names.insert(draw(st.integers(0, len(names))), "reference_id")
    style = st.sampled_from(STYLES)
    lines = [names]
    for _ in range(draw(st.integers(0, 12))):
        surplus = draw(st.sampled_from([0] * 20 + [-1, 1]))
        width = max(1, len(names) + surplus)
        lines.append(draw(st.lists(cells(), min_size=width, max_size=width)))
    out = ""
    for line in lines:
        end = draw(st.sampled_from(LINE_ENDS if line is not names else LINE_ENDS[:9]))
        out += (
            delimiter.join(
                written(cell, delimiter, draw(style) if line is not names else "minimal")
                for cell in line
            )
            + end
        )
    data = out.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(BROKEN_TEXT)) + data[at:]
    return draw(st.sampled_from([b"", b"", MARK])) + data


def plain_files() -> st.SearchStrategy[bytes]:
    """Any of the above, and now and then bytes that are no table at all."""
    return st.one_of(
        dense_files(),
        mostly_plain_files(),
        dense_headers(),
        tables(),
        tables(),
        st.binary(max_size=60),
    )
