"""The page that `make demo` leaves: one HTML file that works offline, with pictures and video beside it."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from string import Template

import numpy as np

from surround_depth.errors import DataError
from surround_depth.evaluation.tables import CaptionedTable
from surround_depth.frame import PointCloud

MAX_PAGE_POINTS = 120_000
_MAX_COORDINATE_M = 320.0  # int16 centimetres reach 327 m


@dataclass(frozen=True)
class Picture:
    """A picture, video or other file beside the page: `path` is relative to the page, `caption` says what one sees."""

    path: str
    caption: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "://" in self.path:
            raise DataError(f"the demo page embeds files beside it, not {self.path!r}")


@dataclass(frozen=True)
class Target:
    """A number the demo has to reach, judged openly on the page."""

    what: str
    value: str
    met: bool


@dataclass(frozen=True)
class DemoPage:
    """Everything the page shows, as text and tables: it computes nothing."""

    subtitle: str
    tiles: Mapping[str, str]  # what -> number
    targets: tuple[Target, ...]
    video: Picture
    cloud: PointCloud
    cloud_caption: str
    pictures: tuple[Picture, ...]
    numbers: tuple[CaptionedTable, ...]
    times: tuple[CaptionedTable, ...]
    files: tuple[Picture, ...]  # linked, not shown
    provenance: CaptionedTable

    def html(self) -> str:
        """Return the page; it loads nothing but the files its pictures and video name."""
        template = Template(resources.files(__package__).joinpath("demo_page.html").read_text(encoding="utf-8"))
        cloud_xyz, cloud_rgb = encode_cloud(self.cloud)
        return template.substitute(
            subtitle=html.escape(self.subtitle),
            tiles="".join(_tile(what, number) for what, number in self.tiles.items()),
            verdict=_verdict(self.targets),
            video=_video(self.video),
            video_caption=html.escape(self.video.caption),
            cloud_xyz=cloud_xyz,
            cloud_rgb=cloud_rgb,
            cloud_caption=html.escape(self.cloud_caption),
            pictures="\n".join(_figure(picture) for picture in self.pictures),
            numbers="\n".join(_table(table) for table in self.numbers),
            times="\n".join(_table(table) for table in self.times),
            files=", ".join(_link(file) for file in self.files),
            provenance=_table(self.provenance),
        )


def encode_cloud(cloud: PointCloud) -> tuple[str, str]:
    """Return base64 of int16 centimetres [P, 3] and of RGB bytes [P, 3], thinned evenly to `MAX_PAGE_POINTS`.

    Raises:
        DataError: the cloud has no colours, or is not in the ego frame.
    """
    if cloud.rgb is None or cloud.coordinate_frame != "ego":
        raise DataError(f"cloud {cloud.frame_id}: the page shows a coloured cloud in the ego frame")
    near = np.flatnonzero(np.abs(cloud.points_m).max(axis=1, initial=0.0) < _MAX_COORDINATE_M)
    kept = near[:: max(1, math.ceil(len(near) / MAX_PAGE_POINTS))]
    centimetres = np.rint(cloud.points_m[kept] * 100.0).astype("<i2")
    return _base64(centimetres.tobytes()), _base64(cloud.rgb[kept].tobytes())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _tile(what: str, number: str) -> str:
    return f'<div class="tile"><b>{html.escape(number)}</b><span>{html.escape(what)}</span></div>'


def _verdict(targets: tuple[Target, ...]) -> str:
    """Say which targets were reached and, as plainly, which were missed."""
    missed = [target for target in targets if not target.met]
    headline = f"{len(missed)} of {len(targets)} targets missed" if missed else "every target reached"
    items = "".join(
        f'<li>{html.escape(t.what)}: <b class="{"met" if t.met else "unmet"}">{html.escape(t.value)}</b> '
        f"({'reached' if t.met else 'missed'})</li>"
        for t in targets
    )
    return f'<div class="verdict{" missed" if missed else ""}"><b>{headline}</b><ul>{items}</ul></div>'


def _figure(picture: Picture) -> str:
    source, caption = html.escape(picture.path, quote=True), html.escape(picture.caption)
    return f'<figure><img src="{source}" alt="{caption}" loading="lazy"><figcaption>{caption}</figcaption></figure>'


def _link(file: Picture) -> str:
    return f'<a href="{html.escape(file.path, quote=True)}">{html.escape(file.caption)}</a>'


def _table(captioned: CaptionedTable) -> str:
    return f'<p>{html.escape(captioned.caption)}</p><div class="scroll">{captioned.table.html()}</div>'


def _video(video: Picture) -> str:
    return f'<video src="{html.escape(video.path, quote=True)}" controls autoplay muted loop playsinline></video>'
