"""Tileable noise textures with mip levels: one fetch replaces several octaves of noise, already antialiased."""

from __future__ import annotations

from functools import cache

import numpy as np

from surround_depth.data.synthetic.jit import device, entry

SIZE = 256
LEVELS = 9
SMOOTH, GRAIN, CELLS = 0, 1, 2


def _periodic_noise(generator: np.random.Generator, falloff: float) -> np.ndarray:
    """Return noise [SIZE, SIZE] of a power spectrum frequency**-falloff, zero mean, unit deviation; it tiles."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :]) * SIZE
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(generator.standard_normal((SIZE, SIZE))) * frequency ** (-falloff / 2)
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return (field - field.mean()) / field.std()


@entry
def _cell_distances(points: np.ndarray, nearest: np.ndarray, second: np.ndarray, owner: np.ndarray) -> None:
    """Fill, per texel, the distances to the two nearest points on the torus and the index of the nearest."""
    for i in range(256):
        for j in range(256):
            first, other, index = 1e9, 1e9, 0
            for k in range(points.shape[0]):
                dx, dy = abs(j + 0.5 - points[k, 0]), abs(i + 0.5 - points[k, 1])
                dx, dy = min(dx, 256 - dx), min(dy, 256 - dy)
                distance = dx * dx + dy * dy
                if distance < first:
                    first, other, index = distance, first, k
                elif distance < other:
                    other = distance
            nearest[i, j], second[i, j], owner[i, j] = np.sqrt(first), np.sqrt(other), index


def _periodic_cells(generator: np.random.Generator, n_points: int) -> np.ndarray:
    """Return a tileable cell pattern (one value per Voronoi cell, dark borders): leaves, cobbles, clods."""
    points = generator.uniform(0, SIZE, (n_points, 2))
    value = generator.standard_normal(n_points)
    nearest, second = np.empty((SIZE, SIZE)), np.empty((SIZE, SIZE))
    owner = np.empty((SIZE, SIZE), np.int64)
    _cell_distances(points, nearest, second, owner)
    field = value[owner] * 0.7 + np.clip((second - nearest) / 2.5, 0, 1)
    return (field - field.mean()) / field.std()


@cache
def noise_textures() -> np.ndarray:
    """Return f32 [3, LEVELS, SIZE, SIZE]: smooth (clouds, stains), grain (grit), cells; level l uses SIZE >> l texels.

    The textures are the same for every seed: scenes differ in what they build, not in these tables.
    """
    generator = np.random.default_rng(20240229)
    base = (_periodic_noise(generator, 2.6), _periodic_noise(generator, 0.6), _periodic_cells(generator, 500))
    pyramid = np.zeros((3, LEVELS, SIZE, SIZE), np.float32)
    for i, field in enumerate(base):
        for level in range(LEVELS):
            n = SIZE >> level
            pyramid[i, level, :n, :n] = field
            if n > 1:
                field = field.reshape(n // 2, 2, n // 2, 2).mean(axis=(1, 3))
    return pyramid


@device
def fetch(textures: np.ndarray, kind: int, x: float, y: float, lod: float) -> float:
    """Return the bilinear sample of texture kind at texel (x, y) of level 0, at the level nearest to lod."""
    level = min(max(int(lod + 0.5), 0), 8)
    size = 256 >> level
    scale = 1.0 / (1 << level)
    fx, fy = x * scale, y * scale
    x0, y0 = int(np.floor(fx)), int(np.floor(fy))
    ax, ay = np.float32(fx - x0), np.float32(fy - y0)
    m = size - 1
    xa, xb, ya, yb = x0 & m, (x0 + 1) & m, y0 & m, (y0 + 1) & m
    top = textures[kind, level, ya, xa] * (1 - ax) + textures[kind, level, ya, xb] * ax
    low = textures[kind, level, yb, xa] * (1 - ax) + textures[kind, level, yb, xb] * ax
    return top * (1 - ay) + low * ay


@device
def hash01(a: int, b: int) -> float:
    """Return a reproducible pseudo-random number in [0, 1) of two integers."""
    h = (a * 374761393 + b * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@device
def band(x: float, low: float, high: float, width: float) -> float:
    """Return the share of a pixel of this width at x that lies in [low, high]."""
    w = max(width, 1e-4)
    return min(max((x - low) / w + 0.5, 0.0), 1.0) - min(max((x - high) / w + 0.5, 0.0), 1.0)


@device
def dashes(x: float, period: float, length: float, width: float) -> float:
    """Return the share of a pixel at x covered by dashes of a length, one per period."""
    if width > period:
        return length / period
    p = x - np.floor(x / period) * period
    return min(band(p, 0.0, length, width) + band(p - period, 0.0, length, width), 1.0)


@device
def level_of(footprint: float, texel_m: float) -> float:
    """Return the mip level at which a texel is as large as the footprint."""
    return np.log2(max(footprint / texel_m, 1.0))
