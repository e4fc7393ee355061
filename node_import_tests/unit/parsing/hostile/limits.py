"""Files at a limit, one byte below it, and one above; most limits made small."""

from __future__ import annotations

from dataclasses import replace

from node_import.contracts.error_codes import ErrorCode as Code
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.hostile.case import HostileFile

RULES = ParseRules()
RECORD_OF_10 = replace(RULES, max_record_bytes=10)
MIB = 1024 * 1024
WIDE = ",".join(["id", *(f"c{number}" for number in range(999))]).encode()


FILES = (
    # The contract's own numbers.
    HostileFile("1,000 columns", WIDE + b"\n1" + b"," * 999 + b"\n", rows=("1",)),
    HostileFile("1,001 columns", WIDE + b",x\n", Code.SCHEMA_VIOLATION),
    HostileFile("1,001 columns, two of them the same", WIDE + b",id\n", Code.SCHEMA_VIOLATION),
    HostileFile("a name of 255 characters", b"id," + b"n" * 255 + b"\n", columns=("id", "n" * 255)),
    HostileFile("a name of 256 characters", b"id," + b"n" * 256 + b"\n", Code.SCHEMA_VIOLATION),
    HostileFile(
        "a name that normalises to 255 characters",
        b"id," + b"n-" * 127 + b"nn--\n",
        Code.SCHEMA_VIOLATION,
    ),
    HostileFile("a name that blanks make long", b"id," + b" " * 300 + b"n\n", columns=("id", "n")),
    HostileFile("a header of 1 MiB", b"id," + b" " * (MIB - 3) + b"\n1,x\n", rows=("1",)),
    HostileFile(
        "a header of 1 MiB and a byte",
        b"id," + b" " * (MIB - 2) + b"\n1,x\n",
        Code.SCHEMA_VIOLATION,
    ),
    HostileFile(
        "a header over 1 MiB that is not UTF-8",
        b"id,\xff" + b" " * MIB + b"\n",
        Code.SCHEMA_VIOLATION,
    ),
    HostileFile("a header over 1 MiB that never ends", b"x" * (MIB + 1), Code.SCHEMA_VIOLATION),
    HostileFile("a header quote open for 1 MiB", b'id,"' + b"x\n" * MIB, Code.SCHEMA_VIOLATION),
    HostileFile("a value of 64 KiB", b"id,v\n1," + b"x" * 65536 + b"\n", rows=("1",)),
    HostileFile(
        "a value of 64 KiB and a byte",
        b"id,v\n1," + b"x" * 65537 + b"\n",
        rejects=((2, Code.VALUE_TOO_LONG),),
    ),
    HostileFile(
        "64 KiB are bytes and not characters",
        b"id,v\n1," + b"\xc3\xa9" * 32769 + b"\n",
        rejects=((2, Code.VALUE_TOO_LONG),),
    ),
    HostileFile(
        "64 KiB of quotes, doubled in the file", b'id,v\n1,"' + b'""' * 65536 + b'"\n', rows=("1",)
    ),
    HostileFile(
        "a long value and a bad type",
        b"id,type,v\n1,x," + b"x" * 65537 + b"\n",
        rejects=((2, Code.INVALID_TYPE),),
    ),
    HostileFile(
        "a record of 1 MiB",
        b"id\n" + b"x" * MIB + b"\r\n",
        rejects=((2, Code.REFERENCE_ID_TOO_LONG),),
    ),
    HostileFile(
        "a record of 1 MiB and a byte",
        b"id\n" + b"x" * (MIB + 1) + b"\n2\n",
        rows=("2",),
        rejects=((2, Code.VALUE_TOO_LONG),),
    ),
    HostileFile(
        "a long record that is not UTF-8 either",
        b"id\n\xff\0" + b"x" * MIB + b"\n2\n",
        rows=("2",),
        rejects=((2, Code.VALUE_TOO_LONG),),
    ),
    HostileFile(
        "a quote that closes at byte 1,048,576",
        b'id,v\n1,"' + b"x" * (MIB - 4) + b'"\n',
        rejects=((2, Code.VALUE_TOO_LONG),),
    ),
    HostileFile(
        "a quote that closes a byte later",
        b'id,v\n1,"' + b"x" * (MIB - 3) + b'"\n',
        rejects=((2, Code.UNTERMINATED_QUOTE),),
    ),
    HostileFile(
        "a quote open for over 1 MiB of good rows",
        b'id\n"\n' + b"1\n" * (MIB // 2) + b'"\n',
        rows=("1",) * (MIB // 2),
        rejects=((2, Code.UNTERMINATED_QUOTE), (MIB // 2 + 3, Code.UNTERMINATED_QUOTE)),
    ),
    HostileFile(
        "delimiters behind the header's limit",
        b'id;"f\ng",,,id\n',
        Code.SCHEMA_VIOLATION,
        rules=replace(RULES, max_header_bytes=8),
    ),
    # The same with a limit of ten bytes, where the borders can be seen.
    HostileFile(
        "a short record at its limit", b"id,v\n1,34567890\n", rows=("1",), rules=RECORD_OF_10
    ),
    HostileFile(
        "a short record at its limit, CRLF",
        b"id,v\n1,34567890\r\n",
        rows=("1",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a short record at its limit and a CR",
        b"id,v\n1,34567890\rx\n",
        rejects=((2, Code.VALUE_TOO_LONG),),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a short record at its limit, a CR at the end",
        b"id,v\n1,34567890\r",
        rejects=((2, Code.VALUE_TOO_LONG),),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a delimiter as the first byte too many",
        b"id,v\n1,34567890,\n",
        rejects=((2, Code.VALUE_TOO_LONG),),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a quote as the first byte too many",
        b'id,v\n1,3456789,"\n2,x"\n',
        rejects=((2, Code.VALUE_TOO_LONG),),
        rows=("2",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a quote as the last byte allowed",
        b'id,v\n1,345678,"\n2,x"\n',
        rejects=((2, Code.UNTERMINATED_QUOTE),),
        rows=("2",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a closing quote as the last byte allowed",
        b'id,v\n1,"456789"\n',
        rows=("1",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a doubled quote across the limit",
        b'id,v\n1,"456789""\n2,x\n',
        rejects=((2, Code.UNTERMINATED_QUOTE),),
        rows=("2",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a limit passed behind a quoted line end",
        b'id,v\n1,"4\n6",90\n2,x\n',
        rejects=((2, Code.COLUMN_COUNT_MISMATCH),),
        rows=("2",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "a record too long goes to its line end",
        b'id,v\n1,"4\n67",0,x,"\n2,x\n',
        rejects=((2, Code.VALUE_TOO_LONG),),
        rows=("2",),
        rules=RECORD_OF_10,
    ),
    HostileFile(
        "two rejects of two allowed",
        b"id,v\n1\n2\n3,x\n",
        rows=("3",),
        rejects=((2, Code.COLUMN_COUNT_MISMATCH), (3, Code.COLUMN_COUNT_MISMATCH)),
        rules=replace(RULES, max_rejects=2),
    ),
)
