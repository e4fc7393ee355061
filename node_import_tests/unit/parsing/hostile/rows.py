"""Files whose rows are hostile without a quote: line ends, encodings, references, types."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode as Code
from node_import.contracts.node_type import NodeType
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.hostile.case import HostileFile

FILES = (
    # Line ends.
    HostileFile("the last line has no end", b"id\n1\n2", rows=("1", "2")),
    HostileFile(
        "a header with LF and rows with CRLF",
        b"id,v\n1,x\r\n2,y\n",
        rows=("1", "2"),
        values={"v": "x"},
    ),
    HostileFile("a CR inside a value", b"id,v\n1,a\rb\n", rows=("1",), values={"v": "a\rb"}),
    HostileFile("two CRs before an LF", b"id,v\n1,a\r\r\n", rows=("1",), values={"v": "a\r"}),
    HostileFile("a CR at the end of the file", b"id,v\n1,a\r", rows=("1",), values={"v": "a\r"}),
    HostileFile(
        "a line of one CR before CRLF",
        b"id\n\r\r\n1\n",
        rows=("1",),
        rejects=((2, Code.MISSING_REFERENCE_ID),),
    ),
    HostileFile("LF before CR", b"id,v\n1,a\n\r2,b\n", rows=("1", "2")),
    HostileFile(
        "empty lines between rows are lines",
        b"id\n\n1\n\r\n\n,\n",
        rows=("1",),
        rejects=((6, Code.COLUMN_COUNT_MISMATCH),),
    ),
    HostileFile(
        "other line separators are text",
        "id,v\n1,a\u2028b\u0085c\x0bd\x0ce\n".encode(),
        rows=("1",),
        values={"v": "a\u2028b\u0085c\x0bd\x0ce"},
    ),
    HostileFile(
        "a line of one blank", b"id\n \n1\n", rows=("1",), rejects=((2, Code.MISSING_REFERENCE_ID),)
    ),
    # Encodings.
    HostileFile(
        "Latin-1 in one value",
        b"id,v\n1,caf\xe9\n2,ok\n",
        rows=("2",),
        rejects=((2, Code.INVALID_UTF8),),
    ),
    HostileFile(
        "a surrogate pair as two sequences",
        b"id\n\xed\xa0\xbd\xed\xb8\x80\n",
        rejects=((2, Code.INVALID_UTF8),),
    ),
    HostileFile("an overlong slash", b"id\n\xc0\xaf\n", rejects=((2, Code.INVALID_UTF8),)),
    HostileFile(
        "a character behind the last plane",
        b"id\n\xf4\x90\x80\x80\n",
        rejects=((2, Code.INVALID_UTF8),),
    ),
    HostileFile(
        "a character cut by the line end",
        b"id,v\n1,\xe2\x82\n\xac,x\n",
        rejects=((2, Code.INVALID_UTF8), (3, Code.INVALID_UTF8)),
    ),
    HostileFile(
        "a character cut by the end of the file",
        b"id\n1\n\xf0\x9f\x99",
        rows=("1",),
        rejects=((3, Code.INVALID_UTF8),),
    ),
    HostileFile(
        "a byte-order mark in a row is a character", "id\n\ufeff1\n".encode(), rows=("\ufeff1",)
    ),
    HostileFile(
        "noncharacters are characters",
        "id\n\uffff\U0010ffff\n".encode(),
        rows=("\uffff\U0010ffff",),
    ),
    HostileFile("NUL in a reference", b"id\na\0b\n", rejects=((2, Code.NUL_CHARACTER),)),
    HostileFile(
        "a line of one NUL", b"id\n\0\n1\n", rows=("1",), rejects=((2, Code.NUL_CHARACTER),)
    ),
    HostileFile("invalid bytes before a NUL", b"id\n\0\xff\n", rejects=((2, Code.INVALID_UTF8),)),
    HostileFile("a NUL and a column too many", b"id\n1,\0\n", rejects=((2, Code.NUL_CHARACTER),)),
    # Columns.
    HostileFile(
        "a column too many",
        b"id,v\n1,x,\n2,y\n",
        rows=("2",),
        rejects=((2, Code.COLUMN_COUNT_MISMATCH),),
    ),
    HostileFile(
        "a column too few",
        b"id,v\n1\n2,y\n",
        rows=("2",),
        rejects=((2, Code.COLUMN_COUNT_MISMATCH),),
    ),
    HostileFile(
        "a delimiter at every row's end",
        b"id\n1,\n2,\n",
        rejects=((2, Code.COLUMN_COUNT_MISMATCH), (3, Code.COLUMN_COUNT_MISMATCH)),
    ),
    HostileFile(
        "another delimiter than the header's",
        b"id,v\n1;x\n",
        rejects=((2, Code.COLUMN_COUNT_MISMATCH),),
    ),
    HostileFile("the header again", b"id,v\nid,v\n", rows=("id",)),
    HostileFile(
        "no reference and a column too few",
        b"id,v\n \n",
        rejects=((2, Code.COLUMN_COUNT_MISMATCH),),
    ),
    # References.
    HostileFile(
        "every white space around a reference",
        "id,v\n\u3000\t 1\u2003\u0085\xa0,x\n".encode(),
        rows=("1",),
    ),
    HostileFile(
        "a reference of white space alone",
        "id,v\n\u2003\xa0\u1680,x\n".encode(),
        rejects=((2, Code.MISSING_REFERENCE_ID),),
    ),
    HostileFile("white space inside a reference stays", b"id,v\n a  b ,x\n", rows=("a  b",)),
    HostileFile(
        "information separators are no white space", b"id\n\x1c1\x1f\n", rows=("\x1c1\x1f",)
    ),
    HostileFile(
        "zero width is no white space", "id\n\u200b1\u200d\n".encode(), rows=("\u200b1\u200d",)
    ),
    HostileFile(
        "references that differ in case or form",
        "id\na\nA\né\ne\u0301\n".encode(),
        rows=("a", "A", "é", "e\u0301"),
    ),
    HostileFile(
        "255 characters of four bytes", b"id\n" + "🙂".encode() * 255 + b"\n", rows=("🙂" * 255,)
    ),
    HostileFile(
        "256 characters", b"id\n" + b"a" * 256 + b"\n", rejects=((2, Code.REFERENCE_ID_TOO_LONG),)
    ),
    HostileFile(
        "255 characters in a thousand blanks",
        b"id\n" + b" " * 500 + b"a" * 255 + b" " * 500 + b"\n",
        rows=("a" * 255,),
    ),
    HostileFile(
        "a reference that looks like a number",
        b"id\n007\n1e5\nNaN\nnull\ntrue\n",
        rows=("007", "1e5", "NaN", "null", "true"),
    ),
    HostileFile("a comment sign", b"id\n#1\n", rows=("#1",)),
    # Types.
    HostileFile(
        "types in odd case",
        b"id,type\n1,uSeR\n2, Product \n3,RESOURCE\n",
        rows=("1", "2", "3"),
        values={},
    ),
    HostileFile(
        "an empty type is the topic's",
        b"id,type\n1,\n2, \n",
        rows=("1", "2"),
        rules=ParseRules(default_type=NodeType.PRODUCT),
    ),
    HostileFile(
        "a long s is no S", "id,type\n1,uſer\n".encode(), rejects=((2, Code.INVALID_TYPE),)
    ),
    HostileFile(
        "full-width letters are no type",
        "id,type\n1,ＵＳＥＲ\n".encode(),
        rejects=((2, Code.INVALID_TYPE),),
    ),
    HostileFile(
        "a type that is none",
        b"id,Type\n1,USERS\n2,1\n3,null\n",
        rejects=((2, Code.INVALID_TYPE), (3, Code.INVALID_TYPE), (4, Code.INVALID_TYPE)),
    ),
    HostileFile(
        "a bad type and no reference", b"id,type\n,x\n", rejects=((2, Code.MISSING_REFERENCE_ID),)
    ),
    HostileFile(
        "a type inside the type's name", b"id,type\n1,US ER\n", rejects=((2, Code.INVALID_TYPE),)
    ),
    # Values.
    HostileFile(
        "values keep their blanks", b"id,v\n1,  x \t\n", rows=("1",), values={"v": "  x \t"}
    ),
    HostileFile("an empty value is no value", b"id,v,w\n1,,\n", rows=("1",), values={}),
    HostileFile("a blank is a value", b"id,v\n1, \n", rows=("1",), values={"v": " "}),
    HostileFile("one reference many times", b"id,v\n1,a\n1,b\n 1 ,c\n", rows=("1", "1", "1")),
)
