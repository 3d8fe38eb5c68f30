"""The published evaluations once more, as slowly and literally as they read: whole maps, loops over pixels.

The oracle of the fast path. Written from protocols.md section by section; shares no code with surround_depth but the
rig's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch

Map = np.ndarray  # [H, W], 0 = none


def truth_map(points: np.ndarray, T: np.ndarray, K: np.ndarray, size: tuple[int, int], rule: str) -> Map:
    """Rasterise points [P, 3] by "round" (SurroundDepth), "test then round" (VFDepth nuScenes) or "truncate" (DGP)."""
    height, width = size
    depth_m = np.zeros(size, np.float32)
    dtype = np.float32 if rule == "round" else np.float64
    T, K = T.astype(dtype), K.astype(dtype)
    for point in points:
        x, y, z = T[:3, :3] @ point.astype(dtype) + T[:3, 3]
        if not z > 0:
            continue
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        column, row = (int(u), int(v)) if rule == "truncate" else (round(float(u)), round(float(v)))
        tested = (u, v) if rule == "test then round" else (column, row)
        if 0 <= tested[0] <= width - 1 and 0 <= tested[1] <= height - 1:
            depth_m[row, column] = z
    return depth_m


def preserve_downsampled(depth_m: Map, size: tuple[int, int]) -> Map:
    """`resize_depth_preserve`, a pixel at a time."""
    small = np.zeros(size, np.float32)
    for row in range(depth_m.shape[0]):
        for column in range(depth_m.shape[1]):
            if depth_m[row, column] > 0:
                small[int(row * (size[0] / depth_m.shape[0])), int(column * (size[1] / depth_m.shape[1]))] = depth_m[
                    row, column
                ]
    return small


def upsampled(grid: Map, size: tuple[int, int], *, corners: bool) -> Map:
    """The whole prediction at full size."""
    if corners:
        tensor = torch.from_numpy(grid)[None, None]
        return torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=True)[0, 0].numpy()
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_LINEAR)


def pairs(truth: Map, prediction: Map, low: float, high: float, *, positive: bool = False) -> list[tuple[float, float]]:
    """(g, p) of every pixel that counts."""
    found = []
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            g, p = float(truth[row, column]), float(prediction[row, column])
            if g > low and g < high and (p > 0 or not positive):
                found.append((g, p))
    return found


def errors(counted: list[tuple[float, float]], low: float, high: float, ratio: float = 1.0) -> dict[str, float]:
    """The metric block over (g, p), p multiplied and clamped."""
    clamped = [(g, min(max(p * ratio, low), high)) for g, p in counted]
    n = len(clamped)
    e = [math.log(p) - math.log(g) for g, p in clamped]
    return {
        "abs_rel": math.fsum(abs(g - p) / g for g, p in clamped) / n,
        "sq_rel": math.fsum((g - p) ** 2 / g for g, p in clamped) / n,
        "rmse": math.sqrt(math.fsum((g - p) ** 2 for g, p in clamped) / n),
        "rmse_log": math.sqrt(math.fsum(x * x for x in e) / n),
        "a1": sum(max(g / p, p / g) < 1.25 for g, p in clamped) / n,
        "a2": sum(max(g / p, p / g) < 1.25**2 for g, p in clamped) / n,
        "a3": sum(max(g / p, p / g) < 1.25**3 for g, p in clamped) / n,
        "silog": 100.0 * math.sqrt(max(math.fsum(x * x for x in e) / n - (math.fsum(e) / n) ** 2, 0.0)),
    }


def median_ratio(counted: list[tuple[float, float]], median: Callable[[list[float]], float]) -> float:
    """median(g) / median(p)."""
    return median([g for g, _ in counted]) / median([p for _, p in counted])


def numpy_median(values: list[float]) -> float:
    """The mean of the two middles."""
    ordered = sorted(values)
    n = len(ordered)
    return ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2


def torch_median(values: list[float]) -> float:
    """The lower middle."""
    return sorted(values)[(len(values) - 1) // 2]
