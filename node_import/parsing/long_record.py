"""A bad record without a line end in sight: judged piece by piece, never held."""

from __future__ import annotations

import codecs

from node_import.contracts.error_codes import ErrorCode
from node_import.parsing.record_judge import RecordJudge
from node_import.parsing.record_scanner import Kind
from node_import.parsing.reject import Reject


class LongRecord:
    """The record on physical line `line`; of a quote fault, encoding and NUL count first."""

    def __init__(self, line: int, kind: Kind) -> None:
        self._line = line
        self._kind = kind
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_text = True
        self._has_nul = False

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """Look at the next bytes of the record."""
        self._has_nul = self._has_nul or b"\0" in piece
        try:
            self._decoder.decode(piece, final=last)
        except UnicodeDecodeError:
            self._is_text = False
            self._decoder.reset()

    def reject(self, end: bytes, judge: RecordJudge) -> Reject:
        """The reject, once the record's last bytes are here."""
        self.feed(end, last=True)
        problem = judge.whole_problem(self._kind)
        code, message = problem.code, problem.message
        if self._kind is not Kind.TOO_LONG and not self._is_text:
            code, message = ErrorCode.INVALID_UTF8, "The record is not UTF-8."
        elif self._kind is not Kind.TOO_LONG and self._has_nul:
            code, message = ErrorCode.NUL_CHARACTER, "The record holds a NUL character."
        return Reject(self._line, code, None, message, end, None)
