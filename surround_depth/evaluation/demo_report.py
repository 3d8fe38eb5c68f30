"""What `make demo` measured, as report.json and as the page: the targets it had to reach and whether it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from surround_depth.evaluation.demo_page import DemoPage, Picture, Target
from surround_depth.evaluation.run import Scores
from surround_depth.evaluation.score_tables import camera_table, comparison_table
from surround_depth.evaluation.tables import CaptionedTable, Table
from surround_depth.frame import PointCloud
from surround_depth.inference.latency import p99_text
from surround_depth.metrics.scoreboard import DepthScores

STUDENT, START = "student", "starting weights"
MEAN, MEDIAN = "per-pixel training mean", "per-pixel training median"
PREDICTORS = (STUDENT, START, MEAN, MEDIAN)
TEACHER_NOTE = (
    "The teacher it learns from is simulated: the renderer's exact depth, spoilt a little, which is near dense "
    "supervision. That shows that the machinery works; it is no evidence about real teachers or real streets."
)
MAX_ABS_REL = 0.15
MIN_GAIN = 0.30


@dataclass(frozen=True)
class Drive:
    """The held-out drive: all of its `n_frames` are scored, all but `n_dropped` were shown while it played live."""

    scene: str
    description: str
    n_frames: int
    n_dropped: int
    rate_hz: float
    """Recorded pace."""


@dataclass(frozen=True)
class DemoReport:
    """All numbers of one demo run. `scores` holds all of PREDICTORS for dense truth, and for LiDAR."""

    scores: Scores
    drive: Drive
    latency_ms: Mapping[str, Mapping[str, float]]
    """Stage -> percentiles (keys p50, p95, p99, count), as the playback reports them."""
    training: Mapping[str, float]
    """Facts of the distillation, for example steps, seconds per step, losses."""
    stages_s: Mapping[str, float]
    provenance: Mapping[str, str]

    def abs_rel(self, predictor: str) -> float:
        """Return the mean AbsRel of a predictor against exact dense depth."""
        return self.scores["dense"][predictor].mean.abs_rel

    def within_25_percent(self, predictor: str) -> float:
        """Return the share of pixels whose depth is within a factor of 1.25 of the exact depth."""
        return self.scores["dense"][predictor].mean.a1

    @property
    def gain(self) -> float:
        """How much lower the student's AbsRel is than the per-pixel mean's: 0.3 = 30 %."""
        return 1.0 - self.abs_rel(STUDENT) / self.abs_rel(MEAN)

    def targets(self) -> tuple[Target, ...]:
        """Return what the demo has to reach. NaN never reaches anything."""
        student = self.abs_rel(STUDENT)
        direction = "lower" if self.gain >= 0 else "higher"
        change = f"{abs(self.gain):.0%} {direction} ({student:.3f} instead of {self.abs_rel(MEAN):.3f})"
        return (
            Target(f"AbsRel against exact depth below {MAX_ABS_REL}", f"{student:.3f}", student < MAX_ABS_REL),
            Target(
                f"at least {MIN_GAIN:.0%} lower than that of the per-pixel training mean", change, self.gain >= MIN_GAIN
            ),
        )

    def as_dict(self) -> dict[str, object]:
        """Return plain values for report.json."""
        return {
            "abs_rel": {name: self.abs_rel(name) for name in PREDICTORS},
            "within_25_percent": {name: self.within_25_percent(name) for name in PREDICTORS},
            "gain_over_per_pixel_mean": self.gain,
            "gain_over_starting_weights": 1.0 - self.abs_rel(STUDENT) / self.abs_rel(START),
            "targets": [asdict(target) for target in self.targets()],
            "drive": asdict(self.drive),
            "scores": {k: {name: s.as_dict() for name, s in named.items()} for k, named in self.scores.items()},
            "latency_ms": {name: dict(stage) for name, stage in self.latency_ms.items()},
            "training": dict(self.training),
            "stages_s": dict(self.stages_s),
            "provenance": dict(self.provenance),
        }


def demo_page(report: DemoReport, video: Picture, pictures: tuple[Picture, ...], cloud: PointCloud) -> DemoPage:
    """Return the page of a demo run."""
    total_s = sum(report.stages_s.values())
    return DemoPage(
        subtitle=(
            "A synthetic street was rendered on this machine, a student was distilled on it from its starting weights, "
            f"compiled, and played on a drive it had never seen ({report.drive.description}). "
            f"From render to evaluation it took {_minutes(total_s)}. {TEACHER_NOTE}"
        ),
        tiles=_tiles(report),
        targets=report.targets(),
        video=video,
        cloud=cloud,
        cloud_caption=f"One moment of the held-out drive: six depth maps, {len(cloud):,} points in the ego frame.",
        pictures=pictures,
        numbers=_number_tables(report),
        times=(
            CaptionedTable(
                f"Played at the recorded {report.drive.rate_hz:.1f} Hz, {report.drive.n_dropped} of "
                f"{report.drive.n_frames} frames dropped. Milliseconds per frame of six cameras:",
                latency_table(report.latency_ms),
            ),
            CaptionedTable(
                "The stages of this demo:",
                Table(("stage", "time"), tuple((name, _minutes(s)) for name, s in report.stages_s.items())),
            ),
        ),
        files=(Picture("report.json", "all numbers"), Picture("train/resolved.yaml", "the training's configuration")),
        provenance=CaptionedTable("What was run:", Table(("what", "which"), tuple(report.provenance.items()))),
    )


def latency_table(latency_ms: Mapping[str, Mapping[str, float]]) -> Table:
    """Return one row of percentiles per stage."""
    rows = tuple(
        (
            name,
            f"{stage['p50']:.1f}",
            f"{stage['p95']:.1f}",
            p99_text(stage["p99"], stage["count"]),
            f"{stage['count']:.0f}",
        )
        for name, stage in latency_ms.items()
    )
    return Table(("stage", "p50 ms", "p95 ms", "p99 ms", "frames"), rows)


def _number_tables(report: DemoReport) -> tuple[CaptionedTable, ...]:
    dense = report.scores["dense"]
    tables = [
        CaptionedTable(
            f"Errors against the exact depth of every pixel between 0.5 and 80 m, {report.drive.n_frames} frames, mean "
            "over images, then over cameras. The per-pixel training mean and median know the training drives but never "
            "look at an image.",
            comparison_table(_ordered(dense)),
        ),
        CaptionedTable("The student, camera by camera:", camera_table(dense[STUDENT])),
    ]
    if "lidar" in report.scores:
        caption = "The same predictors against the simulated LiDAR, which is what a real drive has:"
        tables.append(CaptionedTable(caption, comparison_table(_ordered(report.scores["lidar"]))))
    return tuple(tables)


def _tiles(report: DemoReport) -> dict[str, str]:
    return {
        "AbsRel of the distilled student, exact depth": f"{report.abs_rel(STUDENT):.3f}",
        "AbsRel of its starting weights": f"{report.abs_rel(START):.3f}",
        "AbsRel of the per-pixel training mean": f"{report.abs_rel(MEAN):.3f}",
        f"of the pixels within 25 % of the truth (per-pixel median: {report.within_25_percent(MEDIAN):.0%})": (
            f"{report.within_25_percent(STUDENT):.0%}"
        ),
    }


def _ordered(scores: Mapping[str, DepthScores]) -> dict[str, DepthScores]:
    return {name: scores[name] for name in PREDICTORS}


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
