"""Lightings (sun, sky, haze, lamps) and the baked sky dome that lights, mirrors and background share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from surround_depth.data.synthetic.jit import device, entry, sources_fingerprint
from surround_depth.data.synthetic.noise import SMOOTH, fetch, noise_textures

SKY_ROWS, SKY_COLUMNS = 256, 1024
SKY_LOWEST_RAD, SKY_HIGHEST_RAD = -0.12, np.pi / 2


@dataclass(frozen=True)
class Lighting:
    """One weather and hour. Colours are linear radiance on the scale where a sunlit white wall is about 1."""

    name: str
    sun_elevation_deg: tuple[float, float]
    sun_rgb: tuple[float, float, float]
    zenith_rgb: tuple[float, float, float]
    horizon_rgb: tuple[float, float, float]
    ground_rgb: tuple[float, float, float]
    haze_per_m: float
    cloud_cover: tuple[float, float]
    cloud_rgb: tuple[float, float, float]
    lamps: float
    exposure: float


LIGHTINGS = {
    light.name: light
    for light in (
        Lighting(
            "clear_noon",
            (45, 65),
            (1.55, 1.47, 1.32),
            (0.16, 0.33, 0.68),
            (0.62, 0.74, 0.88),
            (0.20, 0.19, 0.16),
            0.0012,
            (0.15, 0.45),
            (0.95, 0.96, 0.98),
            0.0,
            1.0,
        ),
        Lighting(
            "morning",
            (22, 36),
            (1.50, 1.30, 1.02),
            (0.20, 0.36, 0.66),
            (0.74, 0.78, 0.82),
            (0.19, 0.17, 0.14),
            0.0022,
            (0.2, 0.5),
            (0.98, 0.94, 0.90),
            0.0,
            1.05,
        ),
        Lighting(
            "low_sun",
            (9, 16),
            (1.65, 1.10, 0.62),
            (0.22, 0.32, 0.55),
            (0.92, 0.76, 0.58),
            (0.17, 0.14, 0.11),
            0.0030,
            (0.25, 0.55),
            (1.0, 0.82, 0.66),
            0.0,
            1.1,
        ),
        Lighting(
            "overcast",
            (40, 60),
            (0.16, 0.16, 0.16),
            (0.56, 0.60, 0.65),
            (0.72, 0.75, 0.78),
            (0.20, 0.20, 0.19),
            0.0032,
            (0.85, 1.0),
            (0.74, 0.76, 0.79),
            0.0,
            1.1,
        ),
        Lighting(
            "light_cloud",
            (35, 55),
            (0.85, 0.82, 0.76),
            (0.34, 0.45, 0.62),
            (0.70, 0.76, 0.82),
            (0.20, 0.19, 0.17),
            0.0022,
            (0.5, 0.7),
            (0.88, 0.89, 0.91),
            0.0,
            1.05,
        ),
        Lighting(
            "mist",
            (25, 45),
            (0.22, 0.21, 0.20),
            (0.62, 0.65, 0.68),
            (0.72, 0.73, 0.74),
            (0.20, 0.20, 0.19),
            0.0105,
            (0.9, 1.0),
            (0.72, 0.73, 0.75),
            0.3,
            1.1,
        ),
        Lighting(
            "dusk",
            (3, 6),
            (0.30, 0.17, 0.11),
            (0.10, 0.14, 0.27),
            (0.55, 0.36, 0.28),
            (0.06, 0.06, 0.07),
            0.0030,
            (0.3, 0.6),
            (0.42, 0.30, 0.31),
            1.0,
            1.15,
        ),
    )
}
"""By name; noon-like ones are drawn more often (see `draw_lighting`)."""

_WEIGHTS = {
    "clear_noon": 0.26,
    "morning": 0.18,
    "low_sun": 0.12,
    "overcast": 0.16,
    "light_cloud": 0.16,
    "mist": 0.05,
    "dusk": 0.07,
}


def draw_lighting(generator: np.random.Generator) -> str:
    """Return the name of a lighting."""
    names = tuple(_WEIGHTS)
    return str(names[int(generator.choice(len(names), p=[_WEIGHTS[name] for name in names]))])


@dataclass(frozen=True)
class Sky:
    """A baked sky: what the kernels read."""

    dome: np.ndarray  # f32 [SKY_ROWS, SKY_COLUMNS, 3], rows by elevation from SKY_LOWEST_RAD up, columns by azimuth
    light: (
        np.ndarray
    )  # f32 [16]: sun direction 0:3, sun colour 3:6, sky light 6:9, ground light 9:12, haze 12, lamps 13, exposure 14
    sun_direction: np.ndarray  # f32 [3], towards the sun


def bake_sky(name: str, generator: np.random.Generator) -> Sky:
    """Return the sky of lighting `name`, its sun and clouds placed by the generator."""
    lighting = LIGHTINGS[name]
    elevation = np.radians(generator.uniform(*lighting.sun_elevation_deg))
    azimuth = generator.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    cover = generator.uniform(*lighting.cloud_cover)
    shift = generator.uniform(0, 256, 2)
    rgb = np.array([lighting.zenith_rgb, lighting.horizon_rgb, lighting.cloud_rgb, lighting.sun_rgb])
    dome = np.zeros((SKY_ROWS, SKY_COLUMNS, 3), np.float32)
    paint_sky(dome, noise_textures(), rgb, sun, cover, shift)
    upper = dome[int(SKY_ROWS * 0.1) :]
    weight = np.sin(np.linspace(0.02, np.pi / 2, len(upper))) * np.cos(np.linspace(0.02, np.pi / 2, len(upper)))
    sky_light = (upper.mean(axis=1) * weight[:, None]).sum(axis=0) / weight.sum()
    light = np.zeros(16, np.float32)
    light[0:3], light[3:6], light[6:9], light[9:12] = sun, lighting.sun_rgb, sky_light, lighting.ground_rgb
    light[12], light[13], light[14] = lighting.haze_per_m, lighting.lamps, lighting.exposure
    return Sky(dome, light, sun.astype(np.float32))


@device
def _paint_sky(
    dome: np.ndarray, textures: np.ndarray, rgb: np.ndarray, sun: np.ndarray, cover: float, shift: np.ndarray
) -> None:
    rows, columns, _ = dome.shape
    for i in range(rows):
        elevation = -0.12 + (np.pi / 2 + 0.12) * i / (rows - 1)
        up = max(np.sin(elevation), 0.0)
        flat = np.cos(elevation)
        to_zenith = 1 - (1 - up) ** 3.5
        for j in range(columns):
            azimuth = 2 * np.pi * j / columns
            dx, dy = flat * np.cos(azimuth), flat * np.sin(azimuth)
            facing = max(dx * sun[0] + dy * sun[1] + np.sin(elevation) * sun[2], 0.0)
            # a curved cloud ceiling: the plane projection, bent so that the horizon does not alias
            reach = 60.0 / (up + 0.10)
            x, y = dx * reach + shift[0], dy * reach + shift[1]
            lod = np.log2(max(0.004 * reach / (up + 0.15), 1.0))
            density = (
                fetch(textures, SMOOTH, x, y, lod) * 0.75
                + fetch(textures, SMOOTH, x * 3.1 + 40, y * 3.1, lod + 1.6) * 0.3
            )
            shaded = fetch(textures, SMOOTH, x + 5 * sun[0], y + 5 * sun[1], lod + 1)
            threshold = 1.25 - 2.6 * cover
            cloud = min(max((density - threshold) / 0.9, 0.0), 1.0)
            cloud = cloud * cloud * (3 - 2 * cloud) * min(max((up - 0.015) / 0.12, 0.0), 1.0) * 0.95
            tone = 1.0 - 0.16 * min(max(shaded - threshold, 0.0), 2.0) * cloud
            glow = 0.20 * facing**8 + 0.55 * facing**120
            for c in range(3):
                clear = rgb[1, c] * (1 - to_zenith) + rgb[0, c] * to_zenith + rgb[3, c] * glow * (1 - 0.7 * cover)
                dome[i, j, c] = clear * (1 - cloud) + (rgb[2, c] * tone + rgb[3, c] * 0.15 * facing**4) * cloud


@device
def sky_colour(dome: np.ndarray, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the sky's linear rgb in the unit direction (x, y, z), bilinear."""
    rows, columns, _ = dome.shape
    fy = (np.arcsin(min(max(z, -1.0), 1.0)) + 0.12) / (np.pi / 2 + 0.12) * (rows - 1)
    fy = min(max(fy, 0.0), rows - 1.001)
    fx = np.arctan2(y, x) / (2 * np.pi) * columns
    if fx < 0:
        fx += columns
    x0, y0 = int(fx), int(fy)
    ax, ay = np.float32(fx - x0), np.float32(fy - y0)
    xa, xb = x0 % columns, (x0 + 1) % columns
    wa, wb, wc, wd = (1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay
    a, b, c, d = dome[y0, xa], dome[y0, xb], dome[y0 + 1, xa], dome[y0 + 1, xb]
    return (
        a[0] * wa + b[0] * wb + c[0] * wc + d[0] * wd,
        a[1] * wa + b[1] * wb + c[1] * wc + d[1] * wd,
        a[2] * wa + b[2] * wb + c[2] * wc + d[2] * wd,
    )


def _entry_for(sources: int) -> Callable[..., None]:
    @entry
    def paint(*arguments):  # type: ignore[no-untyped-def]
        if sources >= 0:  # names the fingerprint, so that it enters the cache key
            _paint_sky(*arguments)

    return cast("Callable[..., None]", paint)


paint_sky = _entry_for(sources_fingerprint())
"""`_paint_sky`, compiled and cached."""
