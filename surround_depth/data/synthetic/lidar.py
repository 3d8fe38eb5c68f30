"""A spinning 32-beam LiDAR like the one of nuScenes: each column at its own time, range noise, drop-out, intensity."""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic.world import Moment, World
from surround_depth.geometry import Array, invert_rigid, transform

BEAMS = 32
COLUMNS = 1080
ELEVATION_DEG = (-30.67, 10.67)
SPIN_S = 0.05
MAX_RANGE_M = 80.0
RANGE_NOISE_M = 0.02
_MIN_RANGE_M = 1.0
_SEAM_DEG = 110.0  # azimuth (from ego x, left positive) where a turn begins and ends, just past CAM_BACK_LEFT
_SECTORS = 6

T_EGO_LIDAR: Array = np.array([[0, 1, 0, 0.94], [-1, 0, 0, 0], [0, 0, 1, 1.84], [0, 0, 0, 1]], dtype=np.float64)
"""Mounting: sensor x right, y forward, z up, on the roof (nuScenes LIDAR_TOP, rounded)."""


def sweep(world: World, time_s: float, generator: np.random.Generator) -> np.ndarray:
    """Return one turn that ends at time_s: f32 [P, 5] x, y, z (m), intensity (0 to 255), ring (0 = lowest beam).

    The sensor turns clockwise; a column is seen from where the vehicle is at its time, in six steps for the movers,
    and given in the sensor frame at time_s, as nuScenes gives its motion-compensated sweeps.
    """
    elevation = np.radians(np.linspace(*ELEVATION_DEG, BEAMS))
    T_sensor_world = invert_rigid(world.ego.T_world_ego(time_s) @ T_EGO_LIDAR)
    points, intensities, rings = [], [], []
    per_sector = COLUMNS // _SECTORS
    for sector in range(_SECTORS):
        column = sector * per_sector + np.arange(per_sector)
        times = time_s - SPIN_S + SPIN_S * (column + 0.5) / COLUMNS
        moment = world.moment(float(times.mean()))
        azimuth = np.radians(_SEAM_DEG - 360.0 * (column + 0.5) / COLUMNS)
        rays = _sector_rays(world, times, azimuth, elevation)
        hits = world.trace(moment, rays)
        returned, intensity = _returns(world, moment, rays, hits.t, hits.triangle, generator)
        measured = hits.t + generator.normal(0.0, RANGE_NOISE_M, hits.t.shape).astype(np.float32)
        keep = np.flatnonzero(returned)
        points.append(rays[keep, :3].astype(np.float64) + rays[keep, 3:] * measured[keep, None])
        intensities.append(intensity[keep])
        rings.append(np.tile(np.arange(BEAMS), per_sector)[keep])
    sensor_points = transform(T_sensor_world, np.concatenate(points))
    return np.column_stack([sensor_points, np.concatenate(intensities), np.concatenate(rings)]).astype(np.float32)


def _sector_rays(world: World, times: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return world rays f32 [columns * BEAMS, 6], column by column."""
    flat = np.stack([np.cos(azimuth), np.sin(azimuth)], -1)[:, None] * np.cos(elevation)[None, :, None]
    up = np.broadcast_to(np.sin(elevation)[None, :, None], (len(azimuth), BEAMS, 1))
    in_ego = np.concatenate([flat, up], axis=-1)
    rays = np.empty((len(azimuth), BEAMS, 6), np.float32)
    first, last = world.ego.T_world_ego(float(times[0])), world.ego.T_world_ego(float(times[-1]))
    for i, share in enumerate(np.linspace(0.0, 1.0, len(times))):
        # over the 8 ms of a sector the pose is a straight line to well below a millimetre
        T_world_ego = first + share * (last - first)
        rays[i, :, :3] = transform(T_world_ego, T_EGO_LIDAR[:3, 3])
        rays[i, :, 3:] = in_ego[i] @ T_world_ego[:3, :3].T
    return rays.reshape(-1, 6)


def _returns(
    world: World, moment: Moment, rays: np.ndarray, t: np.ndarray, triangle: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (bool [R] came back, intensity [R]): weaker with range, glancing angle and dark or mirroring surfaces."""
    tables = world.tables(moment)
    index = np.maximum(triangle, 0)
    edges = tables.corners_m[index]
    normal = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    incidence = np.abs((normal * rays[:, 3:]).sum(axis=1))
    albedo = 0.25 + 0.75 * tables.rgb[index].mean(axis=1)
    glass = tables.material[index] == 6
    strength = albedo * np.sqrt(np.maximum(incidence, 1e-3)) * np.where(glass, 0.12, 1.0)
    chance = np.clip(1.25 - (np.minimum(t, 200.0) / MAX_RANGE_M) ** 2 * 0.75 - 0.35 * (strength < 0.12), 0.0, 0.985)
    chance = np.where(glass, chance * 0.35, chance)
    returned = (t > _MIN_RANGE_M) & (t < MAX_RANGE_M) & (triangle >= 0) & (generator.random(t.shape) < chance)
    intensity = np.clip(strength * 70 * (1 + 0.12 * generator.standard_normal(t.shape)), 0, 255)
    return returned, np.round(intensity)
