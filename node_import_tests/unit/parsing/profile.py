"""How many examples a property test tries: few and always the same, or many and always others."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def examples(usual: int) -> settings:
    """`usual` examples, the same each time; with `HYPOTHESIS_PROFILE=thorough` 50 times as many."""
    return settings(
        max_examples=usual * 50 if THOROUGH else usual,
        derandomize=not THOROUGH,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
