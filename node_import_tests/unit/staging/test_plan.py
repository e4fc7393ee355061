"""How files are cut."""

from __future__ import annotations

import pytest

from node_import.sizes import MIB
from node_import.staging.plan import Plan, plan_for


@pytest.mark.parametrize(
    ("csv_bytes", "plan"),
    [
        (0, Plan(slices=1, batches=1)),
        (4 * MIB, Plan(slices=1, batches=1)),
        (5 * MIB, Plan(slices=2, batches=1)),
        (16 * MIB, Plan(slices=4, batches=1)),
        (64 * MIB, Plan(slices=4, batches=1)),
        (65 * MIB, Plan(slices=8, batches=1)),
        (160 * MIB, Plan(slices=16, batches=1)),
        (512 * MIB, Plan(slices=32, batches=2)),
        (100 * 1024 * MIB, Plan(slices=1024, batches=32)),
    ],
)
def test_slices_are_as_large_as_a_transaction_should_be(csv_bytes: int, plan: Plan) -> None:
    """But of a small file there are some, so that connections can share them."""
    assert plan_for(csv_bytes) == plan


def test_batches_are_smaller_where_they_run_side_by_side() -> None:
    """The slices are the same: a job may be loaded again by another executor."""
    plan = plan_for(160 * MIB, side_by_side=True)
    assert plan == Plan(slices=16, batches=8)
    assert plan.fingerprint == plan_for(160 * MIB).fingerprint
