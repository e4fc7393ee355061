"""Which references a job's answer names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl

from node_import.pipeline.reference_lists import MOST_RUNS, References
from node_import.staging.area import LocalStagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.plan import Plan
from node_import.staging.segments import SegmentWriter, slice_number

PLAN = Plan(slices=4, batches=1)


def references(
    folder: Path, good: list[str], bad: list[str], *, loaded: set[int], plan: Plan = PLAN
) -> References:
    """A job that staged these rows and these rejected references, and loaded some slices."""
    area = LocalStagingArea(folder)
    writer = SegmentWriter(area, plan, ())
    frame = pl.DataFrame({"line": range(len(good)), "reference_id": good, "type": "USER"})
    writer.add(frame)
    segments = writer.close()
    with area.write("rejected") as file:
        file.writelines(json.dumps(name).encode() + b"\n" for name in bad)
    manifest = Manifest("j", "d", "v", plan, segments, rejected_references="rejected")
    return References(area, manifest, frozenset(loaded))


def test_one_with_good_and_bad_rows_has_succeeded(tmp_path: Path) -> None:
    """Both lists are distinct and share nothing."""
    lists = references(tmp_path, ["a", "b", "a"], ["b", "c"], loaded={0, 1, 2, 3})
    assert sorted(lists.succeeded()) == ["a", "b"]
    assert list(lists.failed()) == ["c"]


def test_rows_of_slices_that_were_not_loaded_have_failed(tmp_path: Path) -> None:
    """Each once, a rejected one among them too."""
    names = [f"n-{n}" for n in range(50)]
    lists = references(tmp_path, [*names, *names], ["n-3", "x"], loaded={1, 3})
    succeeded, failed = list(lists.succeeded()), list(lists.failed())
    assert succeeded
    assert len(failed) > 2
    assert sorted([*succeeded, *failed]) == sorted([*names, "x"])


def test_a_file_of_many_slices_is_read_in_few_parts(tmp_path: Path) -> None:
    """Whichever slices of a part were loaded, each reference is in one list, once."""
    names = [f"n-{n}" for n in range(3_000)]
    plan = Plan(slices=4 * MOST_RUNS, batches=1)
    odd = set(range(1, plan.slices, 2))
    lists = references(tmp_path, [*names, *names], ["n-3", "x"], loaded=odd, plan=plan)
    succeeded, failed = set(lists.succeeded()), set(lists.failed())
    slices = pl.DataFrame({"reference_id": names}).with_columns(part=slice_number(plan.slices))
    in_odd = slices.filter(pl.col("part").is_in(odd))["reference_id"]
    assert succeeded == set(in_odd)
    assert failed == {*names, "x"} - succeeded
    assert len([*lists.succeeded(), *lists.failed()]) == len(names) + 1


def test_the_object_holds_both_lists_whole(tmp_path: Path) -> None:
    """As one JSON document, whatever characters the references have."""
    good = ['quote"', "back\\slash", "ü", "\u2028"]
    lists = references(tmp_path, good, ["schlecht, ß"], loaded={0, 1, 2, 3})
    file = io.BytesIO()
    lists.write(file)
    document = json.loads(file.getvalue())
    assert sorted(document["successList"]) == sorted(good)
    assert document["failedList"] == ["schlecht, ß"]


def test_no_references_are_two_empty_lists(tmp_path: Path) -> None:
    """A file with a header alone has an answer too."""
    lists = References(LocalStagingArea(tmp_path), Manifest("j", "d", "v", PLAN), frozenset())
    file = io.BytesIO()
    lists.write(file)
    assert json.loads(file.getvalue()) == {"successList": [], "failedList": []}
