"""One camera image with exact depth: trace pixel centres, resample busy pixels, develop like a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic.jit import entry
from surround_depth.data.synthetic.raycast import RayScene
from surround_depth.data.synthetic.world import Moment, World
from surround_depth.geometry import Array, ray_grid
from surround_depth.rig import Camera

_RESAMPLED_SHARE = 0.13
_CONTRAST = 0.035
_SUBPIXELS = ((-0.32, -0.12), (0.30, -0.26), (0.04, 0.38))


@dataclass(frozen=True)
class CameraView:
    """The rays of one camera, computed once per drive."""

    camera: Camera
    rays: np.ndarray  # f32 [H*W, 3] unit, camera frame
    per_u: np.ndarray  # f32 [H*W, 3] change of the ray per pixel to the right
    per_v: np.ndarray  # f32 [H*W, 3] change of the ray per pixel down
    vignette: np.ndarray  # f32 [H, W]

    @classmethod
    def of(cls, camera: Camera) -> CameraView:
        """Return the view of a camera; a pixel whose lens has no ray looks at nothing (black, NaN depth)."""
        grid = ray_grid(camera.height_px, camera.width_px, camera.K, camera.lens)
        grid = np.nan_to_num(grid, nan=0.0)
        flat = grid.reshape(-1, 3)
        per_v, per_u = np.gradient(grid, axis=(0, 1))
        off_axis = np.maximum(flat[:, 2], 0.0).reshape(grid.shape[:2])
        vignette = 0.62 + 0.38 * off_axis**2
        return cls(
            camera,
            flat.astype(np.float32),
            per_u.reshape(-1, 3).astype(np.float32),
            per_v.reshape(-1, 3).astype(np.float32),
            vignette.astype(np.float32),
        )

    def render(
        self, world: World, moment: Moment, T_world_ego: Array, noise: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (RGB uint8 [H, W, 3], z-depth f32 [H, W] at pixel centres, NaN = sky)."""
        T_world_cam = T_world_ego @ self.camera.T_ego_cam
        shape = (self.camera.height_px, self.camera.width_px)
        pixel_rad = 1.0 / self.camera.focal_px
        tables = world.tables(moment)
        rays = _world_rays(T_world_cam, self.rays)
        hits = world.trace(moment, rays)
        colour = world.radiance(moment, tables, rays, hits, pixel_rad)
        depth_m = np.where(np.isfinite(hits.t) & (self.rays[:, 2] > 1e-3), hits.t * self.rays[:, 2], np.nan)
        exposure = float(world.sky.light[14]) * _auto_exposure(colour)
        busy = _busy_pixels(colour.reshape(*shape, 3), exposure)
        total = np.minimum(colour[busy], 2.0 / exposure)
        for du, dv in _SUBPIXELS if len(busy) else ():
            shifted = _world_rays(T_world_cam, self.rays[busy] + du * self.per_u[busy] + dv * self.per_v[busy])
            total += np.minimum(
                world.radiance(moment, tables, shifted, world.trace(moment, shifted), pixel_rad), 2.0 / exposure
            )
        colour[busy] = total / np.float32(1 + len(_SUBPIXELS))
        seed = int(noise.integers(1, 2**31 - 1))
        image = develop(colour.reshape(*shape, 3), self.vignette, np.float32(exposure), seed)
        return image, depth_m.reshape(shape).astype(np.float32)

    def own_body(self, body_scene: RayScene) -> np.ndarray:
        """Return bool [H, W], True where the pixel centre sees the own vehicle (a scene in the ego frame)."""
        hits = body_scene.cast(_world_rays(self.camera.T_ego_cam, self.rays))
        return (hits.triangle >= 0).reshape(self.camera.height_px, self.camera.width_px)


def _world_rays(T_world_cam: Array, rays_cam: np.ndarray) -> np.ndarray:
    rays = np.empty((len(rays_cam), 6), np.float32)
    _rotate(T_world_cam.astype(np.float32), rays_cam, rays)
    return rays


@entry
def _rotate(T: np.ndarray, rays_cam: np.ndarray, out: np.ndarray) -> None:
    """Fill out [R, 6] with origin and direction; by hand, because BLAS may thread and sum in another order."""
    for i in range(rays_cam.shape[0]):
        x, y, z = rays_cam[i, 0], rays_cam[i, 1], rays_cam[i, 2]
        for c in range(3):
            out[i, c] = T[c, 3]
            out[i, 3 + c] = T[c, 0] * x + T[c, 1] * y + T[c, 2] * z


def _auto_exposure(colour: np.ndarray) -> float:
    """Return the gain of a camera that meters its own picture, half way to a fixed grey."""
    luminance = colour[::37] @ np.array([0.25, 0.65, 0.10], np.float32)
    return float(np.clip((0.36 / max(float(np.minimum(luminance, 1.5).mean()), 1e-3)) ** 0.55, 0.6, 2.2))


def _busy_pixels(colour: np.ndarray, exposure: float) -> np.ndarray:
    """Return flat indices of the pixels that differ most from their neighbours, at most _RESAMPLED_SHARE of them."""
    contrast = _contrast(colour, np.float32(exposure)).ravel()
    limit = int(_RESAMPLED_SHARE * contrast.size)
    threshold = max(float(np.partition(contrast, -limit)[-limit]), _CONTRAST)
    return np.flatnonzero(contrast >= threshold)


@entry
def _contrast(colour: np.ndarray, exposure: float) -> np.ndarray:
    rows, columns, _ = colour.shape
    tone = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            y = exposure * (0.3 * colour[i, j, 0] + 0.6 * colour[i, j, 1] + 0.1 * colour[i, j, 2])
            tone[i, j] = np.sqrt(min(y, 2.0))
    out = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            if j + 1 < columns:
                d = abs(tone[i, j] - tone[i, j + 1])
                out[i, j], out[i, j + 1] = max(out[i, j], d), max(out[i, j + 1], d)
            if i + 1 < rows:
                d = abs(tone[i, j] - tone[i + 1, j])
                out[i, j], out[i + 1, j] = max(out[i, j], d), max(out[i + 1, j], d)
    return out


@entry
def develop(colour: np.ndarray, vignette: np.ndarray, exposure: float, seed: int) -> np.ndarray:
    """Return uint8 [H, W, 3]: exposure, lens fall-off, a filmic curve, sensor noise, sRGB-like gamma.

    The curve is the fit of K. Narkowicz, "ACES Filmic Tone Mapping Curve" (2016).
    """
    rows, columns, _ = colour.shape
    image = np.empty((rows, columns, 3), np.uint8)
    state = np.uint64(seed) * np.uint64(2862933555777941757) + np.uint64(3037000493)
    for i in range(rows):
        for j in range(columns):
            gain = exposure * vignette[i, j] * 0.72
            for c in range(3):
                x = max(colour[i, j, c], 0.0) * gain
                y = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                a = np.float32(state >> np.uint64(40)) / 16777216.0
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                b = np.float32(state >> np.uint64(40)) / 16777216.0
                value = 255.0 * min(max(y, 0.0), 1.0) ** 0.4545
                # sum of two uniforms: a triangle of deviation 0.41, close enough to a normal for 2 grey levels
                value += (a + b - 1.0) * (3.4 + 2.2 * (1.0 - y))
                image[i, j, c] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
    return image
