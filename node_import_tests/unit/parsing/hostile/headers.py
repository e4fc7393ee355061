"""Files that are hostile in their header, or have none."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode as Code
from node_import_tests.unit.parsing.hostile.case import HostileFile

MARK = b"\xef\xbb\xbf"


def names(*columns: str) -> bytes:
    """A comma-separated header line."""
    return ",".join(columns).encode() + b"\n"


FILES = (
    # Nothing there.
    HostileFile("no bytes at all", b"", Code.EMPTY_FILE),
    HostileFile("one line feed", b"\n", Code.EMPTY_FILE),
    HostileFile("only empty lines of both kinds", b"\n\r\n\n\r\n", Code.EMPTY_FILE),
    HostileFile("a byte-order mark and nothing else", MARK, Code.EMPTY_FILE),
    HostileFile("a byte-order mark and empty lines", MARK + b"\r\n\n", Code.EMPTY_FILE),
    HostileFile("a header without rows", b"id,name\n", columns=("id", "name")),
    HostileFile("a header without rows or line end", b"id,name", columns=("id", "name")),
    HostileFile("a header and empty lines", b"id\n\n\r\n\n"),
    HostileFile("empty lines before the header", b"\n\r\nid\n7\n", rows=("7",)),
    HostileFile("a header of white space", b"   \n1\n", Code.NO_REFERENCE_COLUMN),
    # Encodings.
    HostileFile(
        "a byte-order mark before the reference column", MARK + b"id,n\n1,x\n", rows=("1",)
    ),
    HostileFile("a byte-order mark before a quote", MARK + b'"id",n\n1,x\n', rows=("1",)),
    HostileFile(
        "a second byte-order mark in the header",
        MARK + MARK + b"id\n1\n",
        rows=("1",),
        columns=("id",),
    ),
    HostileFile(
        "UTF-16, little end first", "\ufeffid\n1\n".encode("utf-16-le"), Code.UNSUPPORTED_ENCODING
    ),
    HostileFile(
        "UTF-16, big end first", "\ufeffid\n1\n".encode("utf-16-be"), Code.UNSUPPORTED_ENCODING
    ),
    HostileFile("the mark of UTF-16 and nothing else", b"\xff\xfe", Code.UNSUPPORTED_ENCODING),
    HostileFile(
        "UTF-16 without its mark", "id\n1\n".encode("utf-16-le"), Code.UNSUPPORTED_ENCODING
    ),
    HostileFile("Latin-1 in the header", b"id,caf\xe9\n1,x\n", Code.UNSUPPORTED_ENCODING),
    HostileFile("a surrogate in the header", b"id,\xed\xa0\x80\n1,x\n", Code.UNSUPPORTED_ENCODING),
    HostileFile("NUL in the header", b"id,a\0b\n1,x\n", Code.UNSUPPORTED_ENCODING),
    HostileFile(
        "NUL in a header that also has a bad quote", b'"id"x,\0\n', Code.UNSUPPORTED_ENCODING
    ),
    HostileFile(
        "Latin-1 in a header that also repeats itself", b"id,id,\xe9\n", Code.UNSUPPORTED_ENCODING
    ),
    # Line ends and quotes.
    HostileFile("an old Macintosh file", b"id,name\r1,x\r2,y\r", Code.SCHEMA_VIOLATION),
    HostileFile("a CR at the end of a header without line end", b"id\r", Code.SCHEMA_VIOLATION),
    HostileFile("two CRs before the header's LF", b"id\r\r\n1\n", Code.SCHEMA_VIOLATION),
    HostileFile(
        "a CR inside a quoted header", b'id,"a\rb"\n1,x\n', columns=("id", "a_b"), rows=("1",)
    ),
    HostileFile(
        "a line end inside a quoted header",
        b'id,"a\r\nb"\n1,x\n',
        columns=("id", "a_b"),
        rows=("1",),
    ),
    HostileFile(
        "a quoted header of many lines shifts line numbers",
        b'"id","\n\n\n"\n\n,x\n',
        rejects=((6, Code.MISSING_REFERENCE_ID),),
    ),
    HostileFile(
        "text behind a closing quote in the header", b'"id"s,name\n1,x\n', Code.SCHEMA_VIOLATION
    ),
    HostileFile("a header quote that never closes", b'id,"name\n1,x\n2,y\n', Code.SCHEMA_VIOLATION),
    HostileFile(
        "quotes inside header names",
        b'id,6"2\',a"b"\n1,x,y\n',
        columns=("id", "6_2", "a_b"),
        rows=("1",),
    ),
    # Delimiters.
    HostileFile(
        "semicolons, and commas in the rows",
        b"id;name\n1;a,b\n",
        rows=("1",),
        values={"name": "a,b"},
    ),
    HostileFile("tabs", b"id\tname\n1\t x \n", rows=("1",), values={"name": " x "}),
    HostileFile("vertical bars", b"id|name\n1|x;y\n", rows=("1",), values={"name": "x;y"}),
    HostileFile(
        "a tie of comma and semicolon goes to the comma",
        b"id,a;b\n1,x\n",
        columns=("id", "a_b"),
        rows=("1",),
    ),
    HostileFile(
        "a tie of bar and tab goes to the tab",
        b"id\ta|b\n1\tx\n",
        columns=("id", "a_b"),
        rows=("1",),
    ),
    HostileFile(
        "more delimiters in quotes than outside",
        b'id;"a,b,c,d"\n1;x\n',
        columns=("id", "a_b_c_d"),
        rows=("1",),
    ),
    HostileFile(
        "a quoted first name in a semicolon file",
        b'"id";"b";"c"\n1;x;y\n',
        columns=("id", "b", "c"),
        rows=("1",),
    ),
    HostileFile(
        "a quoted line end decides the delimiter",
        b'id;"b\n,,,,";c\n1;x;y\n',
        columns=("id", "b", "c"),
        rows=("1",),
    ),
    HostileFile("no delimiter but in the rows", b"id\na;b\n", rows=("a;b",)),
    HostileFile("only delimiters", b",,,\n,,,\n", Code.NO_REFERENCE_COLUMN),
    # Names.
    HostileFile("names that differ in case alone", b"id,Name,NAME\n", Code.DUPLICATE_HEADER),
    HostileFile("names that differ in form alone", "id,ﬁne,fine\n".encode(), Code.DUPLICATE_HEADER),
    HostileFile(
        "names that differ in accents alone", "id,résumé,resume\n".encode(), Code.DUPLICATE_HEADER
    ),
    HostileFile(
        "camel case that meets snake case", b"id,userName,user_name\n", Code.DUPLICATE_HEADER
    ),
    HostileFile("an empty name that meets column_2", b"id,,column_2\n", Code.DUPLICATE_HEADER),
    HostileFile(
        "two empty names", b"id,,\n1,x,y\n", columns=("id", "column_2", "column_3"), rows=("1",)
    ),
    HostileFile(
        "names of nothing but emoji",
        "id,🙂,🙃\n1,x,y\n".encode(),
        columns=("id", "column_2", "column_3"),
        rows=("1",),
    ),
    HostileFile("a duplicate and no reference column", b"a,a\n", Code.DUPLICATE_HEADER),
    HostileFile("no reference column", b"name,email\nx,y\n", Code.NO_REFERENCE_COLUMN),
    HostileFile("a name that only contains id", b"user_id,valid\n", Code.NO_REFERENCE_COLUMN),
    HostileFile(
        "a full-width reference column", "ＩＤ,x\n1,a\n".encode(), columns=("id", "x"), rows=("1",)
    ),
    HostileFile("a dotted capital I", "İD\n1\n".encode(), columns=("id",), rows=("1",)),
    HostileFile("a dotless i is another letter", "ıd\n1\n".encode(), Code.NO_REFERENCE_COLUMN),
    HostileFile("a Cyrillic look-alike of id", "іd\n1\n".encode(), Code.NO_REFERENCE_COLUMN),
    HostileFile(
        "every reference column at once, the best one last",
        b"id,external_id,refID,ReferenceId\n1,2,3,4\n",
        rows=("4",),
        values={"id": "1", "external_id": "2", "ref_id": "3"},
    ),
    HostileFile(
        "capitals of four scripts",
        names("id", "имяПользователя", "όνομαΧρήστη", "անունԱզգ", "𐐨𐐀𐐨"),
        columns=("id", "имя_пользователя", "όνομα_χρήστη", "անուն_ազգ", "𐐨_𐐨𐐨"),
    ),
    HostileFile(
        "camel case of every kind",
        names("userID", "HTTPServer", "address2Line", "ID", "XMLHttpRequest", "iPhone"),
        columns=("user_id", "http_server", "address2_line", "id", "xml_http_request", "i_phone"),
    ),
    HostileFile(
        "letters that do not decompose",
        names("id", "Smørrebrød", "Straße", "ŁódźÆ", "đà"),
        columns=("id", "smørrebrød", "straße", "łodz_æ", "đa"),
    ),
    HostileFile(
        "marks of other scripts",
        names("id", "हिन्दी", "й", "が", "ภาษาไทย", "e\u0301"),
        columns=("id", "हिन्दी", "й", "が", "ภาษาไทย".replace("\u0e33", "\u0e4d\u0e32"), "e"),
    ),
    HostileFile(
        "numbers of every kind",
        names("id", "x²", "½", "٣", "Ⅷ", "a①"),
        columns=("id", "x2", "1_2", "٣", "viii", "a1"),
    ),
    HostileFile(
        "separators in runs and at the ends",
        names("id", "__a__", " b - c ", "d\u200be", "(f)", "g.h/i"),
        columns=("id", "a", "b_c", "d_e", "f", "g_h_i"),
    ),
)
