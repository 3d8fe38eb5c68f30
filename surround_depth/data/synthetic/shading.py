"""Shading of ray hits: sun and its shadow, sky and ground light, contact shadows, mirrors, haze, lamps."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from surround_depth.data.synthetic import ground_surfaces, wall_surfaces
from surround_depth.data.synthetic.ground_surfaces import Surface
from surround_depth.data.synthetic.jit import device, entry, sources_fingerprint
from surround_depth.data.synthetic.lighting import sky_colour


@device
def _surface(
    material: int,
    rgb: np.ndarray,
    u: float,
    v: float,
    px: float,
    py: float,
    f: float,
    params: np.ndarray,
    textures: np.ndarray,
    lanes: np.ndarray,
    crossings: np.ndarray,
    lamps: float,
) -> Surface:
    if material == 0:
        return ground_surfaces.road(textures, u, v, f, lanes, crossings)
    if material == 1:
        return ground_surfaces.block(textures, u, v, f, params, lanes, crossings)
    if material == 2:
        return ground_surfaces.terrain(textures, px, py, f)
    if material == 3:
        return wall_surfaces.facade(textures, u, v, f, rgb, params, lamps)
    if material == 4:
        return wall_surfaces.roof(textures, u, v, f, rgb)
    if material == 5:
        return rgb[0], rgb[1], rgb[2], 0.35
    if material == 6:
        return rgb[0], rgb[1], rgb[2], 0.85
    if material == 8:
        return rgb[0], rgb[1], rgb[2], 0.12
    if material == 9:
        return wall_surfaces.leaves(textures, u, v, f, rgb)
    if material == 10 or material == 13:
        return wall_surfaces.wood(textures, u, v, f, rgb)
    if material == 12:
        tone, mortar = wall_surfaces.bricks(textures, u, v, f, 0.25, 0.085)
        k = tone * (1 - mortar)
        return rgb[0] * k + 0.33 * mortar, rgb[1] * k + 0.31 * mortar, rgb[2] * k + 0.28 * mortar, 0.0
    if material == 14:
        return wall_surfaces.concrete(textures, u, v, f, rgb)
    return rgb[0], rgb[1], rgb[2], 0.0


@device
def _contact(px: float, py: float, pz: float, boxes: np.ndarray) -> float:
    """Return how much sky a point near the ground sees past the vehicles over it (ours: exponential in distance)."""
    open_sky = 1.0
    for i in range(boxes.shape[0]):
        dx, dy = px - boxes[i, 0], py - boxes[i, 1]
        reach = boxes[i, 4] + 1.5
        if dx * dx + dy * dy > reach * reach:
            continue
        along = abs(dx * boxes[i, 2] + dy * boxes[i, 3]) - boxes[i, 4]
        across = abs(-dx * boxes[i, 3] + dy * boxes[i, 2]) - boxes[i, 5]
        outside = np.sqrt(max(along, 0.0) ** 2 + max(across, 0.0) ** 2)
        open_sky *= 1 - 0.78 * np.exp(-outside / 0.30)
    return open_sky


@device
def _blend3(corners: np.ndarray, wu: float, wv: float) -> tuple[float, float, float]:
    """Return the barycentric mix of three corner vectors [3, 3]."""
    w = 1 - wu - wv
    return (
        corners[0, 0] * w + corners[1, 0] * wu + corners[2, 0] * wv,
        corners[0, 1] * w + corners[1, 1] * wu + corners[2, 1] * wv,
        corners[0, 2] * w + corners[1, 2] * wu + corners[2, 2] * wv,
    )


@entry
def geometric_normals(
    directions: np.ndarray,
    triangle: np.ndarray,
    barycentric: np.ndarray,
    normals: np.ndarray,
    sun: np.ndarray,
    facing: np.ndarray,
) -> None:
    """Fill facing [R] with normal . sun of the shading normal, turned towards the ray: who needs a shadow ray."""
    for i in range(triangle.shape[0]):
        k = triangle[i]
        if k < 0:
            facing[i] = -1.0
            continue
        nx, ny, nz = _blend3(normals[k], barycentric[i, 0], barycentric[i, 1])
        d = directions[i]
        flip = -1.0 if nx * d[0] + ny * d[1] + nz * d[2] > 0 else 1.0
        facing[i] = flip * (nx * sun[0] + ny * sun[1] + nz * sun[2])


@device
def _mirrored(
    dx: float, dy: float, dz: float, nx: float, ny: float, nz: float, lit: float, light: np.ndarray, dome: np.ndarray
) -> tuple[float, float, float]:
    """Return what a mirror shows: the sky and the sun, or the mean ground below the horizon."""
    twice = 2 * (dx * nx + dy * ny + dz * nz)
    rx, ry, rz = dx - twice * nx, dy - twice * ny, dz - twice * nz
    if rz <= 0.0:
        return light[9], light[10], light[11]
    r, g, b = sky_colour(dome, rx, ry, rz)
    low = min(rz * 5.0, 1.0) * 0.6 + 0.4  # houses and trees darken the rim of the sky
    spark = max(rx * light[0] + ry * light[1] + rz * light[2], 0.0) ** 350 * 14.0 * lit
    return r * low + light[3] * spark, g * low + light[4] * spark, b * low + light[5] * spark


@device
def _openness(material: int, px: float, py: float, pz: float, leaf_openness: float, boxes: np.ndarray) -> float:
    """Return the share of the sky that a point sees (ambient occlusion, by rule of thumb)."""
    if material <= 1 and pz < 0.5:
        return _contact(px, py, pz, boxes)
    if material == 9:
        return leaf_openness
    if pz < 0.6:
        return 0.55 + 0.75 * max(pz, 0.0)
    return 1.0


@device
def _shade_hit(
    material: int,
    rgb: np.ndarray,
    params: np.ndarray,
    u: float,
    v: float,
    point: tuple[float, float, float],
    normal: tuple[float, float, float],
    direction: tuple[float, float, float],
    f: float,
    lit: float,
    textures: np.ndarray,
    lanes: np.ndarray,
    crossings: np.ndarray,
    boxes: np.ndarray,
    light: np.ndarray,
    dome: np.ndarray,
) -> tuple[float, float, float]:
    """Return the radiance that a surface point sends towards the camera."""
    px, py, pz = point
    nx, ny, nz = normal
    dx, dy, dz = direction
    r, g, b, gloss = _surface(material, rgb, u, v, px, py, f, params, textures, lanes, crossings, light[13])
    facing = nx * dx + ny * dy + nz * dz
    sun = max(nx * light[0] + ny * light[1] + nz * light[2], 0.0) * lit
    if material == 11 or material == 15:
        glow = 1.0 if material == 11 else light[13]
        k = 0.5 * (light[6] + light[3] * sun) + glow * 1.6
        return r * k, g * k, b * k
    if gloss < 0.0:  # a window with its lamp on
        return r - 1.15 * gloss, g - 0.78 * gloss, b - 0.42 * gloss
    if material == 9:
        # light leaks through foliage: never quite dark, and lit from behind
        sun = (sun * 0.85 + 0.22 * lit) * (0.35 + 0.65 * params[0])
    seen = _openness(material, px, py, pz, params[0], boxes)
    up = 0.5 + 0.5 * nz
    r *= light[3] * sun + (light[6] * up + light[9] * (1 - up)) * seen
    g *= light[4] * sun + (light[7] * up + light[10] * (1 - up)) * seen
    b *= light[5] * sun + (light[8] * up + light[11] * (1 - up)) * seen
    if gloss > 0.01:
        mr, mg, mb = _mirrored(dx, dy, dz, nx, ny, nz, lit, light, dome)
        # Schlick's approximation, from 6 % at normal incidence; panes mirror a little more
        share = gloss * (0.06 + 0.94 * (1 + facing) ** 5) + (0.10 * gloss if material == 6 or material == 3 else 0.0)
        r, g, b = r + (mr - r) * share, g + (mg - g) * share, b + (mb - b) * share
    return r, g, b


@device
def _shade(
    origin: np.ndarray,
    directions: np.ndarray,
    t: np.ndarray,
    triangle: np.ndarray,
    barycentric: np.ndarray,
    lit: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray,
    material: np.ndarray,
    rgb: np.ndarray,
    params: np.ndarray,
    textures: np.ndarray,
    lanes: np.ndarray,
    crossings: np.ndarray,
    boxes: np.ndarray,
    light: np.ndarray,
    dome: np.ndarray,
    pixel_rad: float,
    out: np.ndarray,
) -> None:
    """Fill out f32 [R, 3] with linear radiance.

    origin [3] and directions [R, 3] are in the world, t [R] in metres (unit directions), lit [R] the share of the sun
    that arrives; boxes [B, 6] = (x, y, cos, sin, half length, half width) of vehicles near the camera.
    """
    for i in range(t.shape[0]):
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        k = triangle[i]
        if k < 0:
            r, g, b = sky_colour(dome, dx, dy, dz)
            out[i, 0], out[i, 1], out[i, 2] = r, g, b
            continue
        wu, wv = barycentric[i, 0], barycentric[i, 1]
        nx, ny, nz = _blend3(normals[k], wu, wv)
        length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
        if nx * dx + ny * dy + nz * dz > 0:
            length = -length
        normal = (nx / length, ny / length, nz / length)
        facing = normal[0] * dx + normal[1] * dy + normal[2] * dz
        corner_uv = uv[k]
        u = corner_uv[0, 0] * (1 - wu - wv) + corner_uv[1, 0] * wu + corner_uv[2, 0] * wv
        v = corner_uv[0, 1] * (1 - wu - wv) + corner_uv[1, 1] * wu + corner_uv[2, 1] * wv
        point = (origin[0] + dx * t[i], origin[1] + dy * t[i], origin[2] + dz * t[i])
        f = t[i] * pixel_rad / np.sqrt(max(-facing, 0.02))
        r, g, b = _shade_hit(
            material[k], rgb[k], params[k], u, v, point, normal, (dx, dy, dz), f, lit[i],
            textures, lanes, crossings, boxes, light, dome,
        )  # fmt: skip
        clear = np.exp(-light[12] * max(t[i] - 8.0, 0.0))
        if clear < 0.995:
            hr, hg, hb = sky_colour(dome, dx, dy, 0.03)
            r, g, b = r * clear + hr * (1 - clear), g * clear + hg * (1 - clear), b * clear + hb * (1 - clear)
        out[i, 0], out[i, 1], out[i, 2] = r, g, b


def _entry_for(sources: int) -> Callable[..., None]:
    @entry
    def shade(*arguments):  # type: ignore[no-untyped-def]
        if sources >= 0:  # names the fingerprint, so that it enters the cache key
            _shade(*arguments)

    return cast("Callable[..., None]", shade)


shade = _entry_for(sources_fingerprint())
"""`_shade`, compiled and cached."""
