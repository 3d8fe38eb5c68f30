"""Procedural surfaces of what stands: facades, bricks, roofs, foliage, wood. The contract is in `ground_surfaces`."""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic.ground_surfaces import Surface
from surround_depth.data.synthetic.jit import device
from surround_depth.data.synthetic.noise import CELLS, GRAIN, SMOOTH, band, dashes, fetch, hash01, level_of


@device
def wall_render(textures: np.ndarray, u: float, v: float, f: float) -> float:
    """Return the tone of plaster: streaks below, stains, grain."""
    stain = fetch(textures, SMOOTH, u * 6, v * 2.2, level_of(f, 0.2)) * 0.05
    grain = fetch(textures, GRAIN, u * 30, v * 30, level_of(f, 1 / 30)) * 0.03
    foot = -0.16 * min(max(1.0 - v * 0.8, 0.0), 1.0)
    return 1 + stain + grain + foot


@device
def bricks(textures: np.ndarray, u: float, v: float, f: float, length: float, height: float) -> tuple[float, float]:
    """Return (tone, mortar share) of a brick bond."""
    row = np.floor(v / height)
    along = u + (length * 0.5 if int(row) & 1 else 0.0)
    column = np.floor(along / length)
    inside = band(v - row * height, 0.012, height, f) * band(along - column * length, 0.012, length, f)
    fade = min(height / max(f, 1e-3), 1.0)
    mortar = (1 - inside) if fade > 0.6 else 0.16
    tone = (
        1
        + (hash01(int(row), int(column)) - 0.5) * 0.5 * fade
        + fetch(textures, SMOOTH, u * 5, v * 5, level_of(f, 0.2)) * 0.06
    )
    return tone, mortar


@device
def _opening(
    style: int, shop: bool, ground: bool, lucky: float, bay: float, storey: float
) -> tuple[bool, float, float, float, float]:
    """Return (is a door, left, right, bottom, top) of the hole in one bay of one storey, metres."""
    if ground and style == 4 and lucky < 0.3:
        return True, 0.4, bay - 0.4, 0.0, min(3.4, storey * 0.66)
    if ground and style != 4 and lucky < 0.16:
        return True, bay * 0.5 - 0.55, bay * 0.5 + 0.55, 0.0, min(2.15, storey * 0.8)
    if ground and shop:
        return False, 0.25, bay - 0.25, 0.45, storey * 0.74
    if style == 2:
        return False, 0.05, bay - 0.05, storey * 0.30, storey * 0.80
    if style == 3:
        return False, 0.04, bay - 0.04, 0.25, storey - 0.06
    if style == 4:
        return False, 0.4, bay - 0.4, storey * 0.72, storey * 0.90
    return False, bay * 0.5 - 0.62, bay * 0.5 + 0.62, storey * 0.30, storey * 0.80


@device
def _glazing(style: int, x: float, y: float, w0: float, w1: float, h0: float, h1: float, f: float) -> float:
    """Return the share of a pixel in a window hole that is glass, not frame or bar."""
    glass = band(x, w0 + 0.06, w1 - 0.06, f) * band(y, h0 + 0.06, h1 - 0.06, f)
    if style < 2:
        middle = (w0 + w1) * 0.5
        glass *= 1 - band(x, middle - 0.03, middle + 0.03, f)
        if style == 0:
            transom = h0 + (h1 - h0) * 0.66
            glass *= 1 - band(y, transom, transom + 0.05, f)
    elif style != 4:
        glass *= 1 - dashes(x, 1.2, 0.06, f)
    return glass


@device
def _door(style: int, k: float, x: float, y: float, w0: float, w1: float, h1: float, f: float) -> Surface:
    """Return a panelled door, or the lifting gate of a hall."""
    if style == 4:
        slat = 0.85 + 0.15 * dashes(y, 0.4, 0.34, f)
        return 0.36 * slat, 0.38 * slat, 0.40 * slat, 0.0
    panel = 0.8 + 0.2 * band(x, w0 + 0.15, w1 - 0.15, f) * band(y, 0.2, h1 - 0.2, f)
    return (0.08 + 0.25 * k) * panel, (0.09 + 0.12 * (1 - k)) * panel, (0.10 + 0.14 * abs(k - 0.4)) * panel, 0.0


@device
def _wall(textures: np.ndarray, style: int, u: float, v: float, f: float, rgb: np.ndarray) -> Surface:
    tone = wall_render(textures, u, v, f)
    r, g, b = rgb[0] * tone, rgb[1] * tone, rgb[2] * tone
    if style == 1:
        t, mortar = bricks(textures, u, v, f, 0.25, 0.085)
        k = t * (1 - mortar)
        r, g, b = r * k + 0.36 * mortar, g * k + 0.34 * mortar, b * k + 0.31 * mortar
    return r, g, b, 0.0


@device
def facade(
    textures: np.ndarray, u: float, v: float, f: float, rgb: np.ndarray, params: np.ndarray, lamps: float
) -> Surface:
    """Return a wall with windows. params = (bay width, or 0 for a blank wall, floor height, style, random).

    style: 0 plaster with punched windows, 1 brick, 2 ribbon windows, 3 glass curtain, 4 hall with few high windows;
    + 10: shops on the ground floor. A negative gloss is the glow of a window whose lamp is on.
    """
    bay, storey, style, seed = params[0], params[1], int(params[2]), int(params[3] * 1000)
    shop = style >= 10
    style = style % 10
    r, g, b, _ = _wall(textures, style, u, v, f, rgb)
    if bay <= 0.0:
        return r, g, b, 0.0
    column, floor = int(np.floor(u / bay)), int(np.floor(v / storey))
    x, y = u - column * bay, v - floor * storey
    ground = floor < 1
    door, w0, w1, h0, h1 = _opening(style, shop, ground, hash01(column + seed, 77), bay, storey)
    if ground and shop:
        sign = band(y, storey * 0.78, storey * 0.95, f) * band(x, 0.1, bay - 0.1, f)
        hue, grey = hash01(column + seed, 5), hash01(column + seed, 6) * 0.3
        r += (grey + 0.32 * hue - r) * sign
        g += (grey + 0.22 * (1 - hue) - g) * sign
        b += (grey + 0.30 * abs(hue - 0.5) - b) * sign
    opening = band(x, w0, w1, f) * band(y, h0, h1, f)
    if style < 2 and not door:
        surround = 0.55 * (band(x, w0 - 0.10, w1 + 0.10, f) * band(y, h0 - 0.12, h1 + 0.10, f) - opening)
        r, g, b = r + (0.62 - r) * surround, g + (0.60 - g) * surround, b + (0.56 - b) * surround
    if opening <= 0.0:
        return r, g, b, 0.0
    if door:
        dr, dg, db, _ = _door(style, hash01(column, seed), x, y, w0, w1, h1, f)
        return r + (dr - r) * opening, g + (dg - g) * opening, b + (db - b) * opening, 0.0
    glass = _glazing(style, x, y, w0, w1, h0, h1, f)
    k = hash01(column * 7 + seed, floor * 13 + 3)
    if lamps > 0.5 and hash01(column * 31 + seed, floor * 17 + 11) < 0.3:
        return 0.1 * r, 0.1 * g, 0.1 * b, -max(0.75 * glass * opening * (0.5 + 0.5 * k), 1e-3)
    # a blind or curtain behind some panes, and the soft shadow of the reveal at the top
    pane = 0.035 + 0.05 * k
    if k > 0.62:
        pane += (0.34 - pane) * 0.7 * band(y, h1 - (h1 - h0) * (k - 0.62) * 2.4, h1, f)
    frame = 0.58 if (seed % 3) else 0.10
    grey = (frame + (pane - frame) * glass) * (0.55 + 0.45 * min(max((h1 - y) / 0.28, 0.0), 1.0))
    return r + (grey - r) * opening, g + (grey - g) * opening, b + (grey * 1.06 - b) * opening, 0.75 * glass * opening


@device
def roof(textures: np.ndarray, u: float, v: float, f: float, rgb: np.ndarray) -> Surface:
    """Return tiles in rows."""
    row = np.floor(v / 0.34)
    lip = 1 - 0.35 * (1 - band(v - row * 0.34, 0.05, 0.34, f)) if f < 0.25 else 0.95
    tile = (
        (hash01(int(row), int(np.floor(u / 0.28 + 0.5 * (int(row) & 1)))) - 0.5) * 0.24 * min(0.3 / max(f, 1e-3), 1.0)
    )
    moss = fetch(textures, SMOOTH, u * 4, v * 4, level_of(f, 0.25)) * 0.08
    k = lip * (1 + tile + moss)
    return rgb[0] * k, rgb[1] * k, rgb[2] * k, 0.0


@device
def leaves(textures: np.ndarray, u: float, v: float, f: float, rgb: np.ndarray) -> Surface:
    """Return foliage: light and dark leaves in clumps."""
    leaf = fetch(textures, CELLS, u * 60, v * 60, level_of(f, 1 / 60)) * 0.22
    clump = fetch(textures, SMOOTH, u * 14, v * 14, level_of(f, 0.07)) * 0.16
    k = max(1 + leaf + clump, 0.2)
    return rgb[0] * k, rgb[1] * k, rgb[2] * k, 0.0


@device
def wood(textures: np.ndarray, u: float, v: float, f: float, rgb: np.ndarray) -> Surface:
    """Return bark or boards: grain along v."""
    grain = fetch(textures, SMOOTH, u * 70, v * 9, level_of(f, 0.03)) * 0.16
    broad = fetch(textures, SMOOTH, u * 9 + 3, v * 3, level_of(f, 0.2)) * 0.10
    k = max(1 + grain + broad, 0.2)
    return rgb[0] * k, rgb[1] * k, rgb[2] * k, 0.0


@device
def concrete(textures: np.ndarray, u: float, v: float, f: float, rgb: np.ndarray) -> Surface:
    """Return cast concrete."""
    k = (
        1
        + fetch(textures, SMOOTH, u * 6, v * 6, level_of(f, 0.16)) * 0.07
        + fetch(textures, GRAIN, u * 50, v * 50, level_of(f, 0.02)) * 0.04
    )
    return rgb[0] * k, rgb[1] * k, rgb[2] * k, 0.0
