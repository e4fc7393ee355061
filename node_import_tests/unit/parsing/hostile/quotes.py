"""Files whose quotes are hostile."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode as Code
from node_import_tests.unit.parsing.hostile.case import HostileFile

FILES = (
    HostileFile("inches and feet", b"id,v\n1,6'2\"\n", rows=("1",), values={"v": "6'2\""}),
    HostileFile(
        "balanced quotes inside plain values",
        b'id,v\na"b,c"d\n',
        rows=('a"b',),
        values={"v": 'c"d'},
    ),
    HostileFile(
        "a quote behind a blank is plain", b'id,v\n1, "x"\n', rows=("1",), values={"v": ' "x"'}
    ),
    HostileFile(
        "doubled quotes in a plain value stay two",
        b'id,v\n1,a""b\n',
        rows=("1",),
        values={"v": 'a""b'},
    ),
    HostileFile("a quoted quote", b'id,v\n1,"a""b"\n', rows=("1",), values={"v": 'a"b'}),
    HostileFile("a value of one quote", b'id,v\n1,""""\n', rows=("1",), values={"v": '"'}),
    HostileFile("a quoted empty value is no value", b'id,v\n1,""\n', rows=("1",), values={}),
    HostileFile(
        "a quoted empty reference", b'id,v\n"",x\n', rejects=((2, Code.MISSING_REFERENCE_ID),)
    ),
    HostileFile(
        "a line of two quotes is a row", b'id\n""\n', rejects=((2, Code.MISSING_REFERENCE_ID),)
    ),
    HostileFile("a quoted reference with blanks", b'id\n" 1 "\n', rows=("1",)),
    HostileFile(
        "a quoted line end, and the next row's line",
        b'id,v\n1,"a\n\r\nb"\n,y\n',
        rows=("1",),
        values={"v": "a\n\r\nb"},
        rejects=((5, Code.MISSING_REFERENCE_ID),),
    ),
    HostileFile(
        "quoted delimiters of every kind",
        b'id,v\n1,"a,b;c\td|e"\n',
        rows=("1",),
        values={"v": "a,b;c\td|e"},
    ),
    HostileFile(
        "a quoted value at the end of the file", b'id,v\n1,"x"', rows=("1",), values={"v": "x"}
    ),
    HostileFile(
        "text behind a closing quote",
        b'id,v\n1,"x"y\n2,z\n',
        rows=("2",),
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile(
        "a blank behind a closing quote",
        b'id,v\n1,"x" \n2,z\n',
        rows=("2",),
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile(
        "a CR behind a closing quote", b'id,v\n1,"x"\ry\n', rejects=((2, Code.MALFORMED_QUOTE),)
    ),
    HostileFile(
        "a CR behind a closing quote at the end of the file",
        b'id,v\n1,"x"\r',
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile("CRLF behind a closing quote", b'id,v\n1,"x"\r\n', rows=("1",), values={"v": "x"}),
    HostileFile(
        "backslashes escape nothing", b'id,v\n1,"a\\"b"\n', rejects=((2, Code.MALFORMED_QUOTE),)
    ),
    HostileFile(
        "single quotes are plain", b"id,v\n'1,'a,b'\n", rejects=((2, Code.COLUMN_COUNT_MISMATCH),)
    ),
    HostileFile(
        "a quote that never closes",
        b'id,v\n1,"x\n2,y\n3,z\n',
        rows=("2", "3"),
        rejects=((2, Code.UNTERMINATED_QUOTE),),
    ),
    HostileFile(
        "a quote that opens at the end of the file",
        b'id,v\n1,x\n2,"',
        rows=("1",),
        rejects=((3, Code.UNTERMINATED_QUOTE),),
    ),
    HostileFile(
        "three quotes", b'id\n"""\n1\n', rows=("1",), rejects=((2, Code.UNTERMINATED_QUOTE),)
    ),
    HostileFile(
        "a quote opened on every line, an odd number",
        b"id,v\n" + b'1,"x\n' * 5,
        # Line 2's quote runs to line 3's, where text follows it; so does each line's but the last.
        rejects=(
            *((line, Code.MALFORMED_QUOTE) for line in range(2, 6)),
            (6, Code.UNTERMINATED_QUOTE),
        ),
    ),
    HostileFile(
        "a bad record of two lines gives back its second line",
        b'id,v\n1,"a\n2,b"c\n3,d\n',
        rows=("2", "3"),
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile(
        "a record given back begins inside what was quoted",
        b'id,v\n1,"a\n"2","b\n3,c\n',
        # The quote of line 2 closes before the 2 of line 3; line 3's second one never closes.
        rows=("3",),
        rejects=((2, Code.MALFORMED_QUOTE), (3, Code.UNTERMINATED_QUOTE)),
    ),
    HostileFile(
        "a second fault in one record does not count",
        b'id,v\n"1"x,"y\n2,z\n',
        rows=("2",),
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile(
        "NUL and a bad quote on one line",
        b'id,v\n\x001,"x"y\n',
        rejects=((2, Code.NUL_CHARACTER),),
    ),
    HostileFile(
        "invalid bytes behind the rejected line",
        b'id,v\n1,"x\n2,\xff\n3,z\n',
        rows=("3",),
        rejects=((2, Code.UNTERMINATED_QUOTE), (3, Code.INVALID_UTF8)),
    ),
    HostileFile(
        "invalid bytes inside a quoted value of two lines",
        b'id,v\n1,"x\n\xff"\n3,z\n',
        rows=("3",),
        rejects=((2, Code.INVALID_UTF8),),
    ),
    HostileFile(
        "a character cut by a quote fault's line end",
        b'id,v\n1,"\xe2\x82\n\xac"y\n',
        rejects=((2, Code.INVALID_UTF8), (3, Code.INVALID_UTF8)),
    ),
    HostileFile(
        "a bad quote and a column too many", b'id\n"1"x,y\n', rejects=((2, Code.MALFORMED_QUOTE),)
    ),
    HostileFile(
        "a never-closing quote swallows no empty line",
        b'id\n"1\n\n\n2\n',
        rows=("2",),
        rejects=((2, Code.UNTERMINATED_QUOTE),),
    ),
    HostileFile(
        "quotes that open behind every delimiter",
        b'id,a,b\n"1","",""\n"2","x""","""y"\n',
        rows=("1", "2"),
    ),
    HostileFile(
        "another file's delimiter behind a quote",
        b'id,v\n"1";"x"\n',
        rejects=((2, Code.MALFORMED_QUOTE),),
    ),
    HostileFile("curly quotes are plain", "id,v\n“1”,“x\n".encode(), rows=("“1”",)),
    HostileFile(
        "a mark before a quote in a row", b'id,v\n\xef\xbb\xbf"1",x\n', rows=('\ufeff"1"',)
    ),
)
