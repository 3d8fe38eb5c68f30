"""Procedural ground: carriageway with its markings, pavements, lots, fields. See `wall_surfaces` for the rest.

Every surface returns (r, g, b, gloss): linear albedo and how much of a mirror it is (0 matte, 1 window). Patterns are
filtered by the footprint f, the width of a pixel on the surface in metres, so that they fade with distance instead of
flickering.
"""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic.jit import device
from surround_depth.data.synthetic.noise import CELLS, GRAIN, SMOOTH, band, dashes, fetch, hash01, level_of

Surface = tuple[float, float, float, float]


@device
def asphalt(textures: np.ndarray, s: float, d: float, f: float) -> float:
    """Return the grey of worn asphalt: grit, stains, patches, wheel tracks."""
    grit = fetch(textures, GRAIN, s * 70, d * 70, level_of(f, 1 / 70)) * 0.10
    stain = fetch(textures, SMOOTH, s * 4 + 31, d * 11, level_of(f, 0.11)) * 0.075
    broad = fetch(textures, SMOOTH, s * 0.9, d * 1.1 + 90, level_of(f, 1.0)) * 0.08
    crack = fetch(textures, CELLS, s * 5.3 + 7, d * 5.3, level_of(f, 0.19)) * 0.035
    return max(1.0 + grit + stain + broad + crack, 0.3)


@device
def _main_paint(s: float, d: float, f: float, lanes: np.ndarray, crossings: np.ndarray, gap: float) -> float:
    """Return the paint on the main road; gap = metres along it to the edge of the nearest side street."""
    half, lane, n_lanes, parking, style = lanes[0], lanes[1], lanes[2], lanes[3], lanes[5]
    a = abs(d)
    paint = 0.0
    if gap > 5.6:
        if n_lanes > 1:
            paint = band(a, 0.09, 0.21, f)
            for i in range(1, int(n_lanes)):
                paint = max(paint, band(a, i * lane - 0.06, i * lane + 0.06, f) * dashes(s, 9.0, 3.0, f * 2))
        elif style > 0.25:
            solid = band(s - np.floor(s / 160.0) * 160.0, 0.0, 45.0, f) if style > 0.6 else 0.0
            paint = band(a, -0.06, 0.06, f) * max(dashes(s, 9.0, 4.0, f * 2), solid)
        if parking > 0:
            edge = half - parking
            paint = max(paint, band(a, edge - 0.05, edge + 0.05, f) * dashes(s, 1.6, 0.8, f * 2))
            return max(paint, band(a, edge, half, f) * dashes(s, 6.2, 0.1, f * 2))
        return max(paint, band(a, half - 0.42, half - 0.30, f))
    if gap > 0.8:
        # a zebra from 1 to 4 m before the side street, a stop line at 5 m on the arriving side
        paint = band(gap, 1.0, 4.0, f * 2) * dashes(d, 1.0, 0.5, f) * band(a, -1.0, half - 0.2, f)
        for i in range(crossings.shape[0]):
            beyond = s - crossings[i, 0]
            if abs(abs(beyond) - crossings[i, 1] - gap) < 1e-3 and beyond * d > 0:
                paint = max(paint, band(gap, 4.8, 5.3, f * 2) * band(a, 0.1, half - parking - 0.1, f))
    return paint


@device
def _side_paint(s: float, d: float, f: float, half: float, crossings: np.ndarray) -> float:
    """Return the paint on the side streets: zebra, stop line, dashed middle."""
    paint = 0.0
    beyond = abs(d) - half
    for i in range(crossings.shape[0]):
        across, wide = s - crossings[i, 0], crossings[i, 1]
        if abs(across) - wide > 0.5:
            continue
        if beyond > 5.4:
            paint = max(paint, band(across, -0.06, 0.06, f) * dashes(beyond, 9.0, 4.0, f * 2))
        stripes = dashes(across, 1.0, 0.5, f) * band(abs(across), -1.0, wide - 0.2, f)
        paint = max(paint, band(beyond, 1.0, 4.0, f * 2) * stripes)
        if across * d < 0:
            paint = max(paint, band(beyond, 4.8, 5.3, f * 2) * band(abs(across), 0.1, wide - 0.1, f))
    return paint


@device
def road(textures: np.ndarray, s: float, d: float, f: float, lanes: np.ndarray, crossings: np.ndarray) -> Surface:
    """Return the carriageway. lanes = (half width, lane width, lanes a side, parking width, tone, marking style)."""
    half, lane = lanes[0], lanes[1]
    grey = 0.105 * lanes[4] * asphalt(textures, s, d, f)
    a = abs(d)
    if a < half + 0.3:
        gap = 1e9
        for i in range(crossings.shape[0]):
            gap = min(gap, abs(s - crossings[i, 0]) - crossings[i, 1])
        paint = _main_paint(s, d, f, lanes, crossings, gap)
        tracks = 0.0
        for i in range(int(lanes[2])):
            off = abs(a - (i + 0.5) * lane)
            tracks = max(tracks, band(off, 0.5, 1.0, 0.35 + f))
        worn = 0.10 * tracks + 0.18 * band(a, half - 0.45, half + 0.1, 0.25 + f)  # wheel tracks, dirt at the kerb
        drip = fetch(textures, SMOOTH, s * 2.3 + 9, d * 0.5, level_of(f, 0.5)) * 0.03
        grey *= 1 + drip - (worn if gap > 0.8 else 0.0)
    else:
        paint = _side_paint(s, d, f, half, crossings)
    paint *= 0.86 + 0.10 * fetch(textures, SMOOTH, s * 9, d * 9, level_of(f, 0.11))
    white = 0.62
    v = grey * (1 - paint) + white * paint
    return v, v, grey * 1.02 * (1 - paint) + white * 0.97 * paint, 0.0


@device
def grass(textures: np.ndarray, x: float, y: float, f: float, dryness: float) -> Surface:
    """Return a lawn or meadow: blades, tufts, bare patches."""
    blades = fetch(textures, GRAIN, x * 42, y * 42, level_of(f, 1 / 42)) * 0.22
    tufts = (
        fetch(textures, CELLS, x * 11, y * 11, level_of(f, 0.09)) * 0.09
        + fetch(textures, SMOOTH, x * 5, y * 5, level_of(f, 0.2)) * 0.13
    )
    broad = fetch(textures, SMOOTH, x * 0.83 + 17, y * 0.83, level_of(f, 1.2))
    tone = max(1 + blades + tufts + 0.08 * broad, 0.25)
    bare = min(
        max(
            broad * 0.6 + fetch(textures, SMOOTH, x * 3.1, y * 3.1 + 50, level_of(f, 0.32)) * 0.35 - 1.15 + dryness, 0.0
        )
        * 1.6,
        1.0,
    )
    yellow = min(max(0.25 + 0.3 * broad + 0.4 * dryness, 0.0), 1.0)
    r = (0.085 + 0.10 * yellow) * tone
    g = (0.165 + 0.03 * yellow) * tone
    b = (0.035 + 0.02 * yellow) * tone
    soil = max(1 + 0.6 * blades + 0.5 * tufts, 0.3)
    return (
        r * (1 - bare) + 0.27 * soil * bare,
        g * (1 - bare) + 0.21 * soil * bare,
        b * (1 - bare) + 0.145 * soil * bare,
        0.0,
    )


@device
def paving(textures: np.ndarray, s: float, d: float, f: float, tile: float, tone: float) -> Surface:
    """Return slabs with joints and one tone per slab."""
    row = np.floor(d / tile)
    along = s + (tile * 0.5 if int(row) & 1 else 0.0)
    column = np.floor(along / tile)
    joint = 1 - band(d - row * tile, 0.012, tile - 0.012, f) * band(along - column * tile, 0.012, tile - 0.012, f)
    if f > tile * 0.6:
        joint = min(joint, 0.12)
    fade = min(tile / max(f, 1e-3), 1.0)
    slab = (hash01(int(row), int(column)) - 0.5) * 0.18 * fade
    stain = (
        fetch(textures, SMOOTH, s * 7, d * 7, level_of(f, 0.14)) * 0.07
        + fetch(textures, SMOOTH, s * 1.1, d * 1.1, level_of(f, 0.9)) * 0.06
    )
    grit = fetch(textures, GRAIN, s * 90, d * 90, level_of(f, 1 / 90)) * 0.05
    v = 0.33 * tone * (1 + slab + stain + grit) * (1 - 0.42 * joint)
    return v, v * 0.975, v * 0.93, 0.0


@device
def gravel(textures: np.ndarray, x: float, y: float, f: float) -> Surface:
    """Return trodden gravel."""
    v = (
        1
        + fetch(textures, GRAIN, x * 36, y * 36, level_of(f, 1 / 36)) * 0.17
        + fetch(textures, SMOOTH, x * 3, y * 3, level_of(f, 0.33)) * 0.11
    )
    return 0.33 * v, 0.29 * v, 0.225 * v, 0.0


@device
def block(
    textures: np.ndarray, s: float, d: float, f: float, params: np.ndarray, lanes: np.ndarray, crossings: np.ndarray
) -> Surface:
    """Return the raised ground: kerb stone, pavement, lot. params = (lot kind, pavement width, slab size, dryness)."""
    inside = abs(d) - lanes[0]
    for i in range(crossings.shape[0]):
        inside = min(inside, abs(s - crossings[i, 0]) - crossings[i, 1])
    if inside < 0.16:
        stone = fetch(textures, SMOOTH, s * 9, d * 9, level_of(f, 0.11)) * 0.08
        joint = 1 - 0.3 * dashes(s, 1.0, 0.03, f)
        v = 0.36 * (1 + stone) * joint
        return v, v * 0.98, v * 0.95, 0.0
    pavement = band(inside, 0.0, params[1] + 0.05 * fetch(textures, SMOOTH, s * 11, d * 11, level_of(f, 0.1)), f)
    lot = params[0]
    r, g, b, gloss = 0.0, 0.0, 0.0, 0.0
    if pavement < 1.0:
        if lot == 0.0:
            r, g, b, gloss = grass(textures, s, d, f, params[3])
        elif lot == 1.0:
            r, g, b, gloss = paving(textures, s, d, f, max(params[2], 0.25) * 1.6, 0.84)
        elif lot == 2.0:
            r, g, b, gloss = gravel(textures, s, d, f)
        elif lot == 3.0:
            v = 0.13 * asphalt(textures, s, d, f)
            bay = band(inside, params[1] + 6.0, params[1] + 11.0, f) * dashes(s, 2.6, 0.1, f)
            r, g, b = v + 0.4 * bay, v + 0.4 * bay, v + 0.4 * bay
        else:
            r, g, b, gloss = grass(textures, s * 0.7, d * 0.7, f, params[3] + 0.3)
    if pavement > 0.0:
        if params[2] > 0.1:
            pr, pg, pb, _ = paving(textures, s, d, f, params[2], 1.0)
        else:
            v = 0.17 * asphalt(textures, s * 1.3, d * 1.3, f)
            pr, pg, pb = v, v, v
        r, g, b = r + (pr - r) * pavement, g + (pg - g) * pavement, b + (pb - b) * pavement
    return r, g, b, gloss


@device
def terrain(textures: np.ndarray, x: float, y: float, f: float) -> Surface:
    """Return distant fields, in plots of different greens."""
    r, g, b, _ = grass(textures, x * 0.5, y * 0.5, f, 0.15)
    plot = hash01(int(np.floor(x / 90.0 + 0.3 * np.sin(y / 160.0))), int(np.floor(y / 120.0)))
    r *= 0.8 + 0.9 * plot
    g *= 0.85 + 0.35 * plot
    woods = fetch(textures, SMOOTH, x * 0.21, y * 0.21, level_of(f, 4.8))
    dark = 1 - 0.45 * min(max(woods - 0.3, 0.0), 1.0)
    return r * dark, g * dark, b * dark, 0.0
