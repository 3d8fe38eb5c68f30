"""Two results: compared only where they mean the same, and a difference only where the interval excludes zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hand_scores import drives, report, saved

from surround_depth.errors import DataError
from surround_depth.evaluation.score_compare import compare, comparison_section, read_scores, require_same_task
from surround_depth.evaluation.score_report import ScoreReport
from surround_depth.metrics.records import Record


def test_a_difference_is_called_one_only_when_it_is(tmp_path: Path) -> None:
    first = read_scores(saved(tmp_path / "a", report(drives(n=6))))
    better = read_scores(saved(tmp_path / "b", report(drives(-0.05, n=6), "other")))
    (abs_rel, *_) = compare(first, better)
    assert abs_rel.difference.estimate == pytest.approx(-0.05)
    assert abs_rel.verdict == "difference: better"
    assert compare(better, first)[0].verdict == "difference: worse"
    assert "other minus net, paired over 6 drives" in comparison_section(first, better, [abs_rel]).caption
    # better on half of the drives, worse by nearly as much on the other half
    mixed = [replace(r, values={**r.values, "abs_rel": r.values["abs_rel"] + swing(r)}) for r in drives(n=6)]
    undecided = compare(first, read_scores(saved(tmp_path / "c", report(mixed, "mixed"))))
    assert undecided[0].verdict == "no difference shown"
    assert {c.verdict for c in compare(first, first)} == {"equal to four digits"}


def swing(record: Record) -> float:
    return 0.1 if int(record.sequence[1:]) % 2 else -0.09


def test_who_answers_less_is_never_called_better(tmp_path: Path) -> None:
    """Leaving out what is hard lowers the error: 0.05 better over six drives, and no verdict."""
    quiet = [replace(r, values={**r.values, "coverage": 0.42}) for r in drives(-0.05, n=6)]
    first = read_scores(saved(tmp_path / "a", report(drives(n=6))))
    found = compare(first, read_scores(saved(tmp_path / "b", report(quiet, "quiet"))))
    assert {c.verdict for c in found} == {"no verdict: they answer 100.0% and 42.0% of the truth"}


def test_methods_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    first, second = (read_scores(saved(tmp_path / folder, report(drives()))) for folder in ("old", "new"))
    caption = comparison_section(first, second, compare(first, second)).caption
    assert caption.startswith("net in new minus net in old")


def test_grids_that_differ_are_refused_before_the_scoring_where_the_protocol_scores_on_them(tmp_path: Path) -> None:
    def on_grid(found: ScoreReport, grid: str) -> ScoreReport:
        predictor = {**found.origin.predictor, "grid": grid}
        return replace(found, origin=replace(found.origin, predictor=predictor))

    for rule in ("vf", "sd"):
        first = read_scores(saved(tmp_path / rule, on_grid(report(drives(), rule=rule), "192x352")))
        started = on_grid(report(drives(), rule=rule), "192x352 of 198x352 from (6, 0)").origin
        if rule == "sd":
            require_same_task(first, started)
            continue
        with pytest.raises(DataError, match=r"vf has 192x352, this run 192x352 of 198x352 from \(6, 0\); compare by"):
            require_same_task(first, started)


def test_few_drives_decide_nothing(tmp_path: Path) -> None:
    first = read_scores(saved(tmp_path / "a", report(drives())))
    better = read_scores(saved(tmp_path / "b", report(drives(-0.05))))
    assert compare(first, better)[0].verdict == "no verdict below 5 drives"


@pytest.mark.parametrize(
    "changes, complaint",
    [({"rule": "sd"}, "differ in protocol .name: strict and sd"), ({"truth": "b"}, "differ in truth")],
)
def test_unlike_results_are_not_compared(tmp_path: Path, changes: dict[str, str], complaint: str) -> None:
    first = read_scores(saved(tmp_path / "a", report(drives())))
    second = read_scores(saved(tmp_path / "b", report(drives(), **changes)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=complaint):
        compare(first, second)


def test_lists_that_differ_are_not_compared(tmp_path: Path) -> None:
    first, other = report(drives()), report(drives())
    other = replace(other, origin=replace(other.origin, samples={**other.origin.samples, "sha256": "t" * 64}))
    first_saved = read_scores(saved(tmp_path / "a", first))
    with pytest.raises(DataError, match="differ in samples"):
        compare(first_saved, read_scores(saved(tmp_path / "b", other)))
    with pytest.raises(DataError, match="and this run differ in samples"):
        require_same_task(first_saved, other.origin)
    require_same_task(first_saved, first.origin)


@pytest.mark.parametrize(
    "name, content, complaint",
    [
        ("scores.json", "{}", "not a result of this version"),
        ("scores.json", '{"schema_version": 1, "predictor": {}}', "name"),
        ("records.jsonl", "{", r"records\.jsonl cannot be read"),
        ("records.jsonl", '{"sequence": 1}', "not a score record"),
    ],
)
def test_damaged_results_are_named(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    saved(tmp_path, report(drives()))
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=complaint):
        read_scores(tmp_path)
