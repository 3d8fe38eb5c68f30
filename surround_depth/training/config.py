"""The configuration of a training run: one strict tree."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from surround_depth.config import StrictModel
from surround_depth.imaging import InputSpec
from surround_depth.losses.config import LossConfig
from surround_depth.models.config import BinConfig, EncoderConfig, Head, RayFrame, StudentConfig
from surround_depth.models.presets import Preset, student_preset
from surround_depth.teachers.build import TeacherConfig
from surround_depth.training.fitting import require_fitting

MAX_ZOOM = 8.0  # a 200 x 113 pixel piece of a 1600 x 900 picture: nearer there is nothing left to see


class StudentChoice(StrictModel):
    """A preset, with what a run may change about it."""

    preset: Preset = "nano"
    encoder: EncoderConfig | None = None
    """Instead of the preset's encoder."""
    bins: BinConfig = BinConfig()
    head: Head = "bins"
    residual: bool = True
    ray_conditioning: bool = True
    ray_frame: RayFrame = "ego"
    ray_affinity: bool = False
    ground_prior: bool = True
    canonical_focal: bool = True
    upsampling: Literal["convex", "bilinear"] = "convex"
    fusion_layers: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _linear_bins_stay(self) -> StudentChoice:
        if self.canonical_focal and self.head == "bins" and self.bins.space == "linear":
            raise ValueError(
                "bins.space 'linear' with canonical_focal: the nearest bin of a long lens would reach to 20 m; set "
                "canonical_focal to false, or space to 'log'"
            )
        return self

    def resolve(self) -> StudentConfig:
        """Return the full configuration of the student."""
        own = {"preset", "bins", "encoder", "fusion_layers"}
        changes: dict[str, Any] = self.model_dump(exclude=own)
        if self.encoder is not None:
            changes["encoder"] = self.encoder
        if self.fusion_layers is not None:
            changes["fusion_layers"] = self.fusion_layers
        return student_preset(self.preset, self.bins).model_copy(update=changes)


class RenderConfig(StrictModel):
    """How a missing synthetic tree is made."""

    rig: str = "nuscenes"
    """A shipped rig or a rig file (`rig.load_rig`)."""
    first_seed: int = 100
    n_drives: int = Field(default=8, ge=1)
    n_samples: int = Field(default=12, ge=1)
    """Moments per drive."""
    interval_s: float = Field(default=1.0, gt=0.0)
    """Between the moments of a drive: far enough apart that each shows another piece of street."""
    height_px: int = 352
    width_px: int = 640
    n_workers: int = Field(default=2, ge=1)
    """Processes; each renders whole drives. The bytes do not depend on it."""


class SweepConfig(StrictModel):
    """LiDAR sweeps that are laid over a sample's own one: more labels, with the errors of motion and occlusion."""

    before: int = Field(default=0, ge=0)
    after: int = Field(default=0, ge=0)


class DataSetConfig(StrictModel):
    """One data set: which of its drives train and which validate."""

    kind: Literal["synthetic", "nuscenes", "ddad"] = "synthetic"
    root: str
    version: str | None = None
    """Folder of the tables, where a nuScenes or synthetic root has several."""
    rate: Literal["keyframes", "sweeps"] = "keyframes"
    """Of nuScenes: annotated samples at 2 Hz, or every picture at 12 Hz; see `data.nuscenes`."""
    train_split: str | None = None
    """Name or file of a list (`data.splits.read_split`) that narrows what may train; of DDAD also its own "train"."""
    val_split: str | None = None
    """The list that narrows what may validate."""
    train_scenes: tuple[str, ...] = ()
    """Empty: every scene of `train_split` (else of the data set) that does not validate."""
    val_scenes: tuple[str, ...] = ()
    """Empty: every scene of `val_split`; without one, the last scene."""
    masks: str | None = None
    """Folder of own-body masks, for data sets that bring none: nuScenes, DDAD."""
    render: bool = False
    """Render the synthetic tree when `root` is missing."""
    rendering: RenderConfig = RenderConfig()
    repeat: int = Field(default=1, ge=1)
    """How often a pass over the data takes each of its samples: balances a small set beside a large one."""

    @model_validator(mode="after")
    def _only_streets_of_our_own_are_rendered(self) -> DataSetConfig:
        if self.render and self.kind != "synthetic":
            raise ValueError(f"render makes synthetic streets, but kind is {self.kind!r}; leave render out")
        return self


class DataConfig(DataSetConfig):
    """The data of a run: one set, and with `joint` further ones, of other rigs, in the same batches."""

    joint: tuple[DataSetConfig, ...] = ()
    limit_samples: int | None = Field(default=None, ge=1)
    """Of each data set, take the first so many samples to train and as many to validate: for a dry run."""
    validate_on: Literal["val", "train"] = "val"
    """`train` scores the very samples that train: whether the student can learn them at all. It says nothing else."""
    lidar_sweeps: SweepConfig = SweepConfig()
    """Of training samples; see `data.lidar_accumulate`. Validation and baselines keep the sample's own sweep."""
    lidar_beams: int | None = Field(default=None, ge=1)
    """Training samples keep the points of so many beams, spread evenly: what a cheaper LiDAR would give."""
    max_train_drives: int | None = Field(default=None, ge=1)
    """Of each data set, train on so many of the drives that may, spread evenly: what less data would give."""
    cache: bool = True
    """Keep prepared samples in memory, in every worker: about 3.5 MB each at 6 x 192 x 352, 2.4 MB more with the
    photometric term's context. With zoom or shift their recordings are kept, about 9 MB each for rendered 352 x 640."""
    n_workers: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _beams_of_one_sweep(self) -> DataConfig:
        if self.lidar_beams is not None and self.lidar_sweeps != SweepConfig():
            raise ValueError("lidar_beams is for a sample's own sweep; leave it out, or lidar_sweeps")
        return self

    def sets(self) -> dict[str, DataSetConfig]:
        """Return every data set by the key that errors and the origin of a run call it."""
        return {"data": self, **{f"data.joint.{i}": one for i, one in enumerate(self.joint)}}


class AugmentConfig(StrictModel):
    """Random changes of a training sample."""

    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of mirroring the whole rig: images, rays and poses together."""
    brightness: float = Field(default=0.2, ge=0.0, lt=1.0)
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    colour: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Largest relative change; channels move apart by at most `colour`."""
    camera_dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Probability, per sample, that one camera is dead."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of a random zoom of all cameras, times the scale that just covers the input. Beyond (1, 1), and with
    `shift`, every draw is prepared anew, labels of the teacher included, from the recording, which `data.cache` keeps
    in memory (encoded pictures, LiDAR, masks and exact depth: 9 MB for 6 rendered 352 x 640 pictures); a learned
    teacher runs once per draw. `tools/benchmark_loading.py` says what it costs."""
    shift: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far the crop moves: 0 keeps the engine's (the middle columns, the lowest rows), 1 takes any."""
    augmix: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability, per camera, of an AugMix-style corruption; see `training.corruption`."""
    augmix_severity: float = Field(default=0.3, gt=0.0, le=1.0)
    """Of the strongest operation there is."""

    @model_validator(mode="after")
    def _the_picture_covers_the_input(self) -> AugmentConfig:
        low, high = self.zoom
        if not 1.0 <= low <= high <= MAX_ZOOM:
            raise ValueError(
                f"zoom is a range within 1 (the whole picture) and {MAX_ZOOM:g}, low end first, got {list(self.zoom)}"
            )
        return self


class OptimConfig(StrictModel):
    """Optimiser and schedule."""

    steps: int = Field(default=2500, ge=1)
    batch_size: int = Field(default=1, ge=1)
    """Samples (whole rigs) per forward pass of one process."""
    accumulation: int = Field(default=1, ge=1)
    """Forward passes per step."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the features (autocast); geometry, bins and losses stay fp32."""
    compile: bool = False
    """Run the student through `torch.compile`."""
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    """`one_cycle` climbs from 4 % of the peak; `cosine` starts at the peak after a short linear warm-up from 0."""
    lr: float = Field(default=2.0e-3, gt=0.0)
    """Peak of the schedule."""
    encoder_lr_factor: float = Field(default=1.0, gt=0.0)
    """Below 1 for pretrained encoders."""
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps that climb to the peak."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    clip_norm: float = Field(default=5.0, gt=0.0)
    ema_decay: float = Field(default=0.998, ge=0.0, lt=1.0)
    settle: float = Field(default=0.25, ge=0.0, le=1.0)
    """Share of the steps, at the end, that run with batch norm's stored statistics, as the engine will. A batch is one
    street in one light: its own statistics would hide from the weights what they meet at run time."""


class CoarseStage(StrictModel):
    """A first part of the run at a lower resolution: several times the steps in the same time."""

    input: InputSpec
    share: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Of the steps."""


class WatchConfig(StrictModel):
    """When the run looks at itself."""

    log_every: int = Field(default=20, ge=1)
    validate_every: int = Field(default=500, ge=1)
    n_val_samples: int = Field(default=12, ge=1)
    """At most this many, spread evenly over the validation drives."""
    save_every: int = Field(default=500, ge=1)
    """Steps between two states that `--resume` can go on from; one is also kept at every validation and at the end."""
    keep_states: int = Field(default=2, ge=1)
    """The newest ones that stay on the disk."""


class TrainConfig(StrictModel):
    """A whole run. `resolved.yaml` beside its output repeats it."""

    name: str
    seed: int = 0
    input: InputSpec
    coarse: CoarseStage | None = None
    student: StudentChoice = StudentChoice()
    data: DataConfig
    teacher: TeacherConfig = TeacherConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    optim: OptimConfig = OptimConfig()
    watch: WatchConfig = WatchConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> TrainConfig:
        require_fitting(self.loss, self.teacher, self.student.head, self.student.bins.centers)
        return self
