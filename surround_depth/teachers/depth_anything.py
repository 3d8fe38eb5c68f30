"""A learned teacher: any depth model of transformers, Depth Anything first of all, brought to inverse depth.

Depth Anything V1 and V2 put out inverse depth (large = near), their metric fine-tunes metres; Depth Anything 3 puts out
depth up to scale (relative, mono) or metres at a focal length of 300 px (metric); so says distillation.md, section 5.
transformers 5.23 has no Depth Anything 3; where a later one has, `output` and `canonical_focal_px` say what comes out.
"""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError, DataError
from surround_depth.teachers.device import Device, require_device
from surround_depth.teachers.pretrained_depth import DepthModelFiles, find_depth_model
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel
from surround_depth.teachers.weights_licences import weights_licence

Output = Literal["inverse", "depth", "metric"]
"""What a model puts out: inverse depth up to scale and shift, depth up to scale, or metres."""

_AUTO: dict[str, Output] = {"relative": "inverse", "metric": "metric"}
_NEAREST = 1e-3  # of an image's median depth: what is nearer is no surface, and its inverse would dwarf all others
_NEAR_QUANTILE = 0.98
# what changes no label: the same model elsewhere, on another device, or under a licence that is stated
_NOT_OF_LABELS = {"source", "allow_download", "licence", "device"}


class DepthAnythingConfig(StrictModel):
    """Which depth model teaches, and how pictures go in and depth comes out."""

    source: str = "depth-anything/Depth-Anything-V2-Small-hf"
    """A local directory as transformers saves it, or a hub id. The default's weights are Apache-2.0."""
    allow_download: bool = False
    """Fetch a hub id that was not fetched before."""
    licence: str | None = None
    """Of the weights, as their card has it; None: that of a hub id we know, else "not known here"."""
    output: Literal["auto", "inverse", "depth", "metric"] = "auto"
    """What the model puts out; `auto` reads it from its configuration, where that says it."""
    canonical_focal_px: float | None = Field(default=None, gt=0.0)
    """Of a metric model: metres = focal length at the processed size x output / this (Depth Anything 3: 300)."""
    short_side_px: int | None = Field(default=None, gt=0)
    """Short side of the pictures that the model sees; None: the student's. Both sides are rounded up to what it takes.
    These models were trained at 518; larger is slower, and sharper where the recording has more to show."""
    sky_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Sky is where inverse depth is at most this fraction of the image's near end (98 %); 0: no sky is marked. [O]
    None of these models says what is sky. Relative ones put it near 0; 0.02 is a place to start, to be looked at."""
    features: bool = False
    """Bring the last map of the fusing decoder: `fusion_stage` of the model's neck, what its head reads."""
    feature_stride_px: int = Field(default=8, gt=0)
    """Network pixels for each of the features: theirs are finer (1.75 processed pixels), and are averaged."""
    device: Device = "cpu"
    """`cuda` is the process's own GPU; not in worker processes of a loader, which cannot share it."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


class DepthAnythingTeacher:
    """Labels the live cameras of a sample as one batch; the weights are read at the first sample.

    Raises:
        ConfigError: see `find_depth_model`; what the output means is not known; features of a model that fuses none.
    """

    def __init__(self, config: DepthAnythingConfig | None = None) -> None:
        self.config = config or DepthAnythingConfig()
        self.files: DepthModelFiles = find_depth_model(self.config.source, allow_download=self.config.allow_download)
        self.name = self.files.name
        self.licence = weights_licence(self.config.source, self.config.licence)
        self.output = _output_of(self.files, self.config)
        self.metric = self.output == "metric"
        if self.config.features:
            _fused_width(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of weights, the model's configurations and our settings; hashed when first asked for."""
        settings = self.config.model_dump_json(exclude=_NOT_OF_LABELS)
        return hashlib.sha256(f"{self.files.sha256()}/{self.output}/{settings}".encode()).hexdigest()

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return the labels of one sample at network resolution; what is not finite, or no depth, is not valid.

        Raises:
            ConfigError: the weights or the device are not there, or the model cannot process this size.
            DataError: a camera has no focal length, and metres need one.
        """
        live = np.flatnonzero(sample.camera_valid)
        n, height_px, width_px = sample.images.shape[:3]
        relative = np.zeros((n, height_px, width_px), np.float32)
        valid = np.zeros(relative.shape, bool)
        sky = np.zeros(relative.shape, bool)
        features = self._no_features(n, height_px, width_px)
        if live.size:
            metres_per_unit = self._metres_per_unit(sample, live)
            output, fused = self._predict(sample.images[live])
            r, meaningful = inverse_of(output * metres_per_unit[:, None, None], self.output)
            far = is_sky(r, meaningful, self.config.sky_fraction)
            relative[live], valid[live], sky[live] = r.numpy(), (meaningful & ~far).numpy(), far.numpy()
            if features is not None and fused is not None:
                features[live] = F.adaptive_avg_pool2d(fused, features.shape[2:]).half().numpy()
        return TeacherLabel(relative, valid, sky, features)

    @cached_property
    def _model(self) -> Any:
        require_device(self.config.device, "teacher.depth_anything.device")
        return self.files.load().to(self.config.device, getattr(torch, self.config.dtype))

    @torch.no_grad()
    def _predict(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor | None]:
        """Return the output [L, H, W] at the size of the images [L, H, W, 3], and the fused features; float32, CPU."""
        height_px, width_px = images.shape[1:3]
        size = self._processed_size(height_px, width_px)
        pixels = model_pixels(images, size, self.files.pixel_mean, self.files.pixel_std)
        model, fused = self._model, []
        handle = None
        if self.config.features:
            handle = model.neck.fusion_stage.register_forward_hook(lambda _, __, maps: fused.append(maps[-1]))
        try:
            output = model(pixels.to(self.config.device, getattr(torch, self.config.dtype))).predicted_depth
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(f"teacher '{self.name}': cannot process {size[0]}x{size[1]} px: {reason}") from error
        finally:
            if handle is not None:
                handle.remove()
        output = output.float().reshape(len(images), 1, *output.shape[-2:])
        output = F.interpolate(output, (height_px, width_px), mode="bilinear", align_corners=False)[:, 0]
        return output.cpu(), fused[0].float().cpu() if fused else None

    def _processed_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        return processed_size(height_px, width_px, self.files.size_multiple_px, self.config.short_side_px)

    def _metres_per_unit(self, sample: TeacherInput, live: NDArray[np.intp]) -> Tensor:
        """Return what carries the output of each live camera to metres [L]; ones where it is that, or relative."""
        if self.config.canonical_focal_px is None:
            return torch.ones(len(live))
        focal_px = np.full(len(sample.camera_valid), np.nan) if sample.focal_px is None else sample.focal_px
        for i in live:
            if not np.isfinite(focal_px[i]):
                raise DataError(
                    f"{sample.sample_id}: camera {sample.camera_names[i]} has no focal length, which metres of "
                    f"{self.name} need; leave the camera out or choose a relative teacher"
                )
        height_px, width_px = sample.images.shape[1:3]
        processed = self._processed_size(height_px, width_px)
        stretch = 0.5 * (processed[0] / height_px + processed[1] / width_px)  # the mean of fx and fy, where those agree
        return torch.from_numpy((focal_px[live] * stretch / self.config.canonical_focal_px).astype(np.float32))

    def _no_features(self, n: int, height_px: int, width_px: int) -> NDArray[np.float16] | None:
        if not self.config.features:
            return None
        stride = self.config.feature_stride_px
        shape = (n, _fused_width(self.files), math.ceil(height_px / stride), math.ceil(width_px / stride))
        return np.zeros(shape, np.float16)


def processed_size(height_px: int, width_px: int, multiple_px: int, short_side_px: int | None) -> tuple[int, int]:
    """Return (height, width) that a model sees: scaled to that short side, each side rounded up to the multiple."""
    scale = 1.0 if short_side_px is None else short_side_px / min(height_px, width_px)
    height, width = (multiple_px * math.ceil(round(side * scale / multiple_px, 6)) for side in (height_px, width_px))
    return height, width


def model_pixels(
    images: NDArray[np.uint8], size: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> Tensor:
    """Return RGB [L, H, W, 3] as float32 [L, 3, h, w]: bicubic with antialiasing, as PIL resizes, then normalised.

    As transformers' DPTImageProcessor does it; tested against that to one grey level.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    if size != images.shape[1:3]:
        # on bytes, as PIL: both cut overshoot off between the pass along rows and that along columns
        pixels = F.interpolate(pixels, size, mode="bicubic", align_corners=False, antialias=True)
    return (pixels.float() / 255.0 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def inverse_of(output: Tensor, kind: Output) -> tuple[Tensor, Tensor]:
    """Return (r, where it means something) [L, H, W] of a model's output: large = near, 0 where it means nothing.

    A depth means nothing where it is not above a thousandth of its image's median: its inverse has no bound.
    """
    meaningful = torch.isfinite(output)
    if kind == "inverse":
        return torch.where(meaningful, output, 0.0), meaningful
    medians = torch.where(meaningful, output, torch.nan).flatten(1).nanmedian(dim=1).values
    meaningful &= output > (_NEAREST * medians).clamp(min=1e-6)[:, None, None]  # of no pixel: NaN, and none is above it
    return torch.where(meaningful, 1.0 / torch.where(meaningful, output, 1.0), 0.0), meaningful


def is_sky(r: Tensor, meaningful: Tensor, fraction: float) -> Tensor:
    """Return where r [L, H, W] is at most `fraction` of its image's near end; nowhere for 0. See `sky_fraction`."""
    sky = torch.zeros_like(meaningful)
    for i in range(len(r) if fraction > 0.0 else 0):
        seen = r[i][meaningful[i]]
        if seen.numel():
            sky[i] = meaningful[i] & (r[i] <= fraction * float(np.quantile(seen.numpy(), _NEAR_QUANTILE)))
    return sky


def _output_of(files: DepthModelFiles, config: DepthAnythingConfig) -> Output:
    kind, model_type = config.output, files.hf_config.model_type
    if kind == "auto":
        stated = files.hf_config.depth_estimation_type if model_type == "depth_anything" else None
        found: Output | None = "metric" if model_type == "zoedepth" else _AUTO.get(str(stated))
        if found is None:
            raise ConfigError(
                f"teacher '{files.name}': a {model_type} model does not say what it puts out; set teacher."
                "depth_anything.output to inverse (large = near), depth (up to scale) or metric, as its card has it"
            )
        kind = found
    if config.canonical_focal_px is not None and kind != "metric":
        raise ConfigError(
            f"teacher '{files.name}': canonical_focal_px makes metres, but its output is {kind}; leave it out, or set "
            "teacher.depth_anything.output=metric"
        )
    return kind


def _fused_width(files: DepthModelFiles) -> int:
    width = getattr(files.hf_config, "fusion_hidden_size", None)
    if width is None:
        raise ConfigError(
            f"teacher '{files.name}': a {files.hf_config.model_type} model has no decoder that fuses features "
            "(fusion_hidden_size); set teacher.depth_anything.features=false"
        )
    return int(width)
