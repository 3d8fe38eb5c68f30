"""Every published surround-depth evaluation as one frozen record of switches, so that numbers can be compared.

`protocol("sd")` is what SurroundDepth and its successors report, `vf` VFDepth, `cv` CVCDepth and CylinderDepth, `vi`
vidar (FSM, SESC), `r3` R3D3, `so` SelfOcc; `strict` is ours and the default; `network` is the quick rule of playback
and training. Variants: `sd:noflip`, `vi:pp`, `cv:flip`, `r3:bug`. What each switch does, with sources, is in
docs/protocols.md. The records only say what is done: `data.ground_truth` makes truth, `metrics.compare` numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from surround_depth.errors import ConfigError
from surround_depth.metrics.scoreboard import ScoredRange

GroundTruthSize: TypeAlias = Literal["full", "downsampled", "points", "network"]
"""full: a map at recorded size. downsampled: that map brought to network size value by value. points: sub-pixel points.
network: points projected into the network's own cameras."""
Resampling: TypeAlias = Literal["linear", "linear_corners", "sub_pixel", "none"]
"""How a prediction [h, w] answers at a place of the recorded image. linear: half-pixel bilinear on depth
(cv2.INTER_LINEAR, torch align_corners=False); linear_corners: bilinear with align_corners=True; sub_pixel: grid_sample
with border padding and align_corners=True at (u / W, v / H); none: the truth already lies on the prediction's grid."""
Flip: TypeAlias = Literal["off", "disparity", "depth"]
MedianKind: TypeAlias = Literal["none", "image_numpy", "image_torch", "camera_batch", "shared"]
"""none: metric. image_*: one factor per image (numpy: mean of the two middles; torch: the lower one). camera_batch: one
per camera over a batch, torch. shared: one for all cameras of a sample, the mean of their numpy factors."""
Empty: TypeAlias = Literal["nan", "minus_one", "skip"]
"""What an image without scored truth does to a mean: poisons it, counts as -1 in every metric, or is left out and
counted."""


@dataclass(frozen=True)
class Rasteriser:
    """How projected LiDAR points become a depth map."""

    rounding: Literal["half_even", "half_up", "truncate"]
    bounds: Literal["unrounded", "rounded"]
    """On which coordinates 0 <= u <= W - 1, 0 <= v <= H - 1 is tested."""
    winner: Literal["last", "nearest"]
    """Of several points on one pixel: the last in file order, or the nearest."""
    arithmetic: Literal["float64", "float32_product"]
    """float32_product: transform, points and K are cast to float32 before they are multiplied."""
    min_depth_m: float = 0.0
    """Points count strictly beyond this."""


@dataclass(frozen=True)
class DatasetRule:
    """What differs between data sets within one protocol."""

    rasteriser: Rasteriser
    scored_range: ScoredRange
    vertical_K_factor: float = 1.0
    """fy and cy of the truth's camera are multiplied by this: 1, or the bug of R3D3's nuScenes reader."""


@dataclass(frozen=True)
class Protocol:
    """One evaluation, whole. A result file stores it."""

    name: str
    title: str
    nuscenes: DatasetRule
    ddad: DatasetRule
    truth: GroundTruthSize
    resampling: Resampling
    flip: Flip
    own_body: Literal["ignored", "any_non_zero", "masked"]
    """any_non_zero: the mask is resized with LANCZOS and every non-zero value counts; masked: no truth there."""
    occlusion_test: bool
    """Truth that the LiDAR sees behind a nearer object is taken out."""
    needs_positive_prediction: bool
    clamp_before_median: bool
    """Predictions are always clamped to the range after the median."""
    median: MedianKind
    """What the rows "median" mean; "metric" rows are always without."""
    batch: int
    """Images of one camera whose pixels are pooled into one unit."""
    drop_last: bool
    """An incomplete batch at the end is not scored."""
    batch_first: bool
    """Mean over cameras within a batch first, then over batches; otherwise over units per camera, then over cameras."""
    empty: Empty
    samples: str
    """Which moments the published numbers are over."""

    def rule(self, dataset: str) -> DatasetRule:
        """Return the rule for a data set kind; synthetic trees in nuScenes format follow nuScenes."""
        return self.ddad if dataset == "ddad" else self.nuscenes

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


_ROUND = Rasteriser("half_even", "rounded", "last", "float32_product")
_TEST_THEN_ROUND = Rasteriser("half_even", "unrounded", "last", "float64")
_TRUNCATE = Rasteriser("truncate", "rounded", "last", "float64")
_NEAREST = Rasteriser("half_up", "rounded", "nearest", "float64", min_depth_m=0.5)

_SD = Protocol(
    name="sd",
    title="SurroundDepth",
    nuscenes=DatasetRule(_ROUND, ScoredRange(0.1, 80.0)),
    ddad=DatasetRule(_TRUNCATE, ScoredRange(0.1, 200.0)),
    truth="full",
    resampling="linear",
    flip="disparity",
    own_body="ignored",
    occlusion_test=False,
    needs_positive_prediction=False,
    clamp_before_median=False,
    median="image_numpy",
    batch=1,
    drop_last=False,
    batch_first=False,
    empty="nan",
    samples="DDAD: 3950 lines of val.txt, 148 timestamps twice; nuScenes: 6019 tokens of val.txt",
)
# "(0, 200)" in the sources means g > 0; a prediction is clamped to the smallest positive number they use.
_ANY_POSITIVE_M = 1e-6
_VF = replace(
    _SD,
    name="vf",
    title="VFDepth",
    nuscenes=DatasetRule(_TEST_THEN_ROUND, ScoredRange(_ANY_POSITIVE_M, 80.0)),
    ddad=DatasetRule(_TRUNCATE, ScoredRange(_ANY_POSITIVE_M, 200.0)),
    truth="downsampled",
    resampling="none",
    flip="off",
    own_body="any_non_zero",
    clamp_before_median=True,
    median="camera_batch",
    batch=4,
    drop_last=True,
    batch_first=True,
    samples="DDAD: 3848 of 3850 with one context frame on each side; nuScenes: 5416 of 5417",
)
_CV = replace(
    _VF,
    name="cv",
    title="CVCDepth, CylinderDepth",
    nuscenes=DatasetRule(_ROUND, ScoredRange(_ANY_POSITIVE_M, 80.0)),
    own_body="ignored",
    samples="DDAD: 3948 of 3950; nuScenes: 5416 of 5417, or 6016 of 6019 with SurroundDepth's list",
)
_VI = replace(
    _SD,
    name="vi",
    title="vidar (FSM, SESC)",
    nuscenes=DatasetRule(_TRUNCATE, ScoredRange(_ANY_POSITIVE_M, 80.0)),
    ddad=DatasetRule(_TRUNCATE, ScoredRange(_ANY_POSITIVE_M, 200.0)),
    resampling="linear_corners",
    flip="off",
    median="image_torch",
    empty="minus_one",
    samples="DDAD: the DGP validation split",
)
_R3 = replace(
    _VI,
    name="r3",
    title="R3D3",
    nuscenes=DatasetRule(_TRUNCATE, ScoredRange(0.1, 80.0)),
    needs_positive_prediction=True,
    median="none",
    samples="frames after the tracker's warm-up",
)
_SO = replace(
    _VI,
    name="so",
    title="SelfOcc",
    nuscenes=DatasetRule(_TRUNCATE, ScoredRange(1e-3, 80.0)),
    ddad=DatasetRule(_TRUNCATE, ScoredRange(1e-3, 80.0)),
    truth="points",
    resampling="sub_pixel",
    empty="nan",
    samples="nuScenes: its own list",
)
STRICT = replace(
    _SD,
    name="strict",
    title="surround_depth, strict",
    nuscenes=DatasetRule(_NEAREST, ScoredRange(0.5, 80.0)),
    ddad=DatasetRule(_NEAREST, ScoredRange(0.5, 200.0)),
    flip="off",
    own_body="masked",
    occlusion_test=True,
    empty="skip",
    samples="every sample with truth",
)
NETWORK = replace(
    STRICT,
    name="network",
    title="surround_depth, at network resolution",
    nuscenes=DatasetRule(_NEAREST, ScoredRange(0.5, 80.0)),
    ddad=DatasetRule(_NEAREST, ScoredRange(0.5, 80.0)),
    truth="network",
    resampling="none",
    occlusion_test=False,
)

PROTOCOLS: Mapping[str, Protocol] = {
    entry.name: entry
    for entry in (
        STRICT,
        _SD,
        replace(_SD, name="sd:noflip", title="SurroundDepth without flip (S3Depth)", flip="off"),
        _VF,
        _CV,
        replace(_CV, name="cv:flip", title="CVCDepth with flip", flip="depth"),
        _VI,
        replace(_VI, name="vi:pp", title="vidar, post-processed", flip="disparity"),
        _R3,
        replace(
            _R3,
            name="r3:bug",
            title="R3D3 with its nuScenes K",
            nuscenes=replace(_R3.nuscenes, vertical_K_factor=432.0 / 448.0),
        ),
        _SO,
        NETWORK,
    )
}

OWN_PROTOCOLS = (STRICT.name, NETWORK.name)
"""Ours: no published table is scored by them."""


def protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    if name not in PROTOCOLS:
        raise ConfigError(
            f"no protocol {name!r}; there are {', '.join(PROTOCOLS)} (docs/protocols.md says which is whose)"
        )
    return PROTOCOLS[name]
