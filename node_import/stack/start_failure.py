"""The error of a service that does not come up."""

from __future__ import annotations


class StartFailed(Exception):
    """A service did not start; `detail` is what it said last."""

    def __init__(self, service: str, detail: str) -> None:
        super().__init__(f"{service} did not start:\n{detail}" if detail else service)
        self.service = service
        self.detail = detail
