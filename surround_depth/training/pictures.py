"""What a validation looks like: a column per camera; what it saw, what the student said, how wrong it was, how sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surround_depth.training.validation import Example
from surround_depth.viz.colors import ACCENT_RGB, MUTED_RGB, PANEL_RGB, DepthScale, hatch, turbo
from surround_depth.viz.drawing import Picture, canvas, draw_label, draw_text

_MOST_CAMERAS = 6
_WORST_ERROR = 0.5
"""Relative error in the last colour."""
_PLOT_HEIGHT_PX = 96
_MARGIN_PX = 16


def example_pictures(example: Example, scale: DepthScale | None = None) -> dict[str, Picture]:
    """Return RGB pictures [H, W, 3] by name: images, depth, truth, error, confidence and, where there are any, bins.

    Truth and error are striped grey where nothing is known.
    """
    scale = scale or DepthScale()
    n = min(len(example.depth_m), _MOST_CAMERAS)
    truth_m, depth_m = example.truth_m[:n], example.depth_m[:n]
    known = np.isfinite(truth_m)
    error = np.abs(depth_m - np.where(known, truth_m, depth_m)) / np.where(known, truth_m, 1.0)
    confidence = np.repeat((example.confidence[:n] * 255).astype(np.uint8)[..., None], 3, axis=-1)
    rows = {
        "images": (example.sample.images[:n], ""),
        "depth": (scale.colors(depth_m), f"depth, {scale.near_m:g} m red, {scale.far_m:g} m blue"),
        "truth": (_where(known, scale.colors(truth_m)), "truth, same colours"),
        "error": (_where(known, turbo(error / _WORST_ERROR)), f"relative error, 0 blue, {_WORST_ERROR:.0%} red"),
        "confidence": (confidence, "confidence, white is sure"),
    }
    pictures = {name: _row(list(cells), caption) for name, (cells, caption) in rows.items()}
    if example.bin_share is not None and example.centers_m is not None:
        width_px = depth_m.shape[-1]
        plots = [_bin_plot(example.centers_m[i], example.bin_share[i], scale, width_px) for i in range(n)]
        pictures["bins"] = _row(plots, "")
    return pictures


def _row(cells: list[Picture], caption: str) -> Picture:
    """Return the cells side by side."""
    row = np.concatenate(cells, axis=1)
    if caption:
        draw_label(row, caption)
    return row


def _where(known: NDArray[np.bool_], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(known[..., None], colors, hatch(*known.shape[-2:]))


def _bin_plot(centers_m: NDArray[np.float32], share: NDArray[np.float32], scale: DepthScale, width_px: int) -> Picture:
    """Return the mean probability [M] of a camera's bins over their centers [M], on the colours' depth axis."""
    plot = canvas(_PLOT_HEIGHT_PX, width_px, PANEL_RGB)
    ground_px = _PLOT_HEIGHT_PX - _MARGIN_PX
    columns_px = np.rint(scale.position(centers_m) * (width_px - 3)).astype(int) + 1
    # the root: sky fills the last bin of most pictures, and the others are to be seen beside it
    heights_px = np.rint(np.sqrt(share / share.max()) * (ground_px - _MARGIN_PX)).astype(int)
    for column_px, height_px in zip(columns_px, heights_px, strict=True):
        plot[ground_px - height_px : ground_px, column_px - 1 : column_px + 2] = ACCENT_RGB
        plot[ground_px : ground_px + 3, column_px] = MUTED_RGB
    draw_text(
        plot,
        f"bins, {centers_m.min():.1f} to {centers_m.max():.0f} m, root of share, peak {share.max():.0%}",
        4,
        12,
        11,
    )
    return plot
