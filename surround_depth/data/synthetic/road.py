"""The road frame (s along the centreline, d to its left) and the ground: carriageway, blocks with kerbs, terrain.

The carriageway lies at z = 0 of the world everywhere; blocks (pavement and lots) stand one kerb above it.
Traffic keeps to the right: the driving direction is +s for d < 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, from_vertices, grid_triangles, merge

KERB_M = 0.13
REACH_M = 70.0  # half width of the ground that follows the road frame
BEFORE_M = 170.0  # road behind s = 0
_STEP_M = 0.5


@dataclass(frozen=True)
class Road:
    """A centreline with its cross-section. s = 0 is where the drive begins."""

    s_m: np.ndarray  # [S]
    xy_m: np.ndarray  # [S, 2]
    heading_rad: np.ndarray  # [S]
    half_width_m: float
    lane_m: float
    lanes_per_side: int
    parking_m: float
    pavement_m: float
    tone: float
    markings: float
    crossings: np.ndarray  # f32 [X, 2]: s of a side street and its half width

    @property
    def end_m(self) -> float:
        return float(self.s_m[-1])

    def heading_at(self, s_m: np.ndarray | float) -> np.ndarray:
        """Return the heading in radians at s."""
        return np.interp(s_m, self.s_m, self.heading_rad)

    def to_world(self, s_m: np.ndarray | float, d_m: np.ndarray | float) -> np.ndarray:
        """Return world xy [..., 2] of road coordinates."""
        heading = self.heading_at(s_m)
        x = np.interp(s_m, self.s_m, self.xy_m[:, 0]) - np.sin(heading) * d_m
        y = np.interp(s_m, self.s_m, self.xy_m[:, 1]) + np.cos(heading) * d_m
        return np.stack([x, y], axis=-1)

    def shader_lanes(self) -> np.ndarray:
        """Return what `surfaces.road` reads, f32 [8]."""
        values = (self.half_width_m, self.lane_m, self.lanes_per_side, self.parking_m, self.tone, self.markings, 0, 0)
        return np.asarray(values, dtype=np.float32)

    def stretches(self) -> list[tuple[float, float]]:
        """Return (s0, s1) of the blocks between side streets, in order."""
        edges = [float(self.s_m[0])]
        for s, half in self.crossings:
            edges += [float(s - half), float(s + half)]
        edges.append(self.end_m)
        return list(zip(edges[0::2], edges[1::2], strict=True))


def make_road(generator: np.random.Generator, length_m: float) -> Road:
    """Return a road of about length_m ahead of s = 0, drawn by the generator: width, bends, side streets."""
    s = np.arange(-BEFORE_M, length_m + 230.0, _STEP_M)
    lanes = int(generator.choice([1, 2], p=[0.72, 0.28]))
    lane = float(generator.uniform(3.0, 3.6))
    parking = 2.1 if generator.random() < 0.5 else 0.0
    half_width = lanes * lane + parking + (0.0 if parking else 0.35)
    crossings = []
    at = generator.uniform(-60, 45)
    while at < length_m + 150:
        if generator.random() < 0.75:
            crossings.append((at, generator.uniform(3.0, 4.5)))
        at += generator.uniform(70, 160)
    bend = _curvature(generator, s, np.array([c[0] for c in crossings]))
    heading = np.cumsum(bend) * _STEP_M
    heading -= np.interp(0.0, s, heading)
    xy = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * _STEP_M, axis=0)
    xy -= np.array([np.interp(0.0, s, xy[:, 0]), np.interp(0.0, s, xy[:, 1])])
    return Road(
        s, xy, heading, half_width, lane, lanes, parking,
        pavement_m=float(generator.uniform(1.8, 4.2)),
        tone=float(generator.uniform(0.7, 1.45)),
        markings=float(generator.random()),
        crossings=np.asarray(crossings, dtype=np.float32).reshape(-1, 2),
    )  # fmt: skip


def _curvature(generator: np.random.Generator, s: np.ndarray, crossings: np.ndarray) -> np.ndarray:
    """Return curvature [S] in 1/m: straight, one long bend, or an S, straightened where side streets meet the road."""
    kind = generator.choice(["straight", "bend", "winding"], p=[0.35, 0.35, 0.30])
    curvature = np.zeros_like(s)
    if kind == "bend":
        start, length = generator.uniform(-20, 60), generator.uniform(60, 110)
        radius = generator.uniform(100, 220) * generator.choice([-1, 1])
        curvature += (np.clip((s - start) / 25, 0, 1) - np.clip((s - start - length) / 25, 0, 1)) / radius
    elif kind == "winding":
        wave = generator.uniform(140, 240)
        curvature += np.sin(2 * np.pi * (s / wave + generator.random())) / generator.uniform(130, 260)
    for at in crossings:
        curvature *= np.clip((np.abs(s - at) - 12.0) / 20.0, 0.0, 1.0)
    return curvature


@dataclass(frozen=True)
class Lot:
    """The ground of one block: lot kind, slab size (0 = asphalt pavement), dryness of its grass."""

    kind: float
    tile_m: float
    dryness: float


def carriageway(road: Road) -> Mesh:
    """Return the z = 0 sheet under everything; uv = (s, d)."""
    rows = np.arange(road.s_m[0], road.end_m, 2.0)
    w = road.half_width_m
    columns = np.array([-REACH_M, -40, -22, -w - 4, -w, -w / 2, 0, w / 2, w, w + 4, 22, 40, REACH_M])
    s, d = np.meshgrid(rows, columns, indexing="ij")
    return _sheet(road, s, d, 0.0, materials.ROAD, (0, 0, 0, 0))


def block_mesh(road: Road, s0_m: float, s1_m: float, side: int, lot: Lot) -> Mesh:
    """Return the raised ground of one block (side +1 left, -1 right) with its kerbs, corners rounded."""
    radius = 5.0
    arc = radius * (1 - np.cos(np.linspace(0, np.pi / 2, 7)))
    middle = np.arange(s0_m + radius, s1_m - radius, 2.0)[1:]
    s = np.concatenate([s0_m + arc, middle, (s1_m - arc)[::-1]])
    inset = np.maximum(radius - (s - s0_m), radius - (s1_m - s)).clip(0, radius)
    near = road.half_width_m + radius - np.sqrt(np.maximum(radius**2 - inset**2, 0))
    fractions = np.array([0.0, 0.06, 0.2, 0.5, 1.0])
    d = side * (near[:, None] + (REACH_M - near)[:, None] * fractions)
    ss = np.broadcast_to(s[:, None], d.shape)
    params = (lot.kind, road.pavement_m, lot.tile_m, lot.dryness)
    top = _sheet(road, ss, d, KERB_M, materials.BLOCK, params, flip=side < 0)
    rim_s = np.concatenate([[s0_m], s, [s1_m]])
    rim_d = side * np.concatenate([[REACH_M], near, [REACH_M]])
    return merge([top, _kerb(road, rim_s, rim_d, flip=side > 0)])


def _kerb(road: Road, s: np.ndarray, d: np.ndarray, *, flip: bool) -> Mesh:
    """Return the vertical faces along a rim, from below the carriageway up to the kerb's edge."""
    xy = road.to_world(s, d)
    low = np.concatenate([xy, np.full((len(xy), 1), -0.05)], axis=1)
    high = np.concatenate([xy, np.full((len(xy), 1), KERB_M)], axis=1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1))])
    uv = np.concatenate([np.stack([along, 0 * along], 1), np.stack([along, 0 * along + 0.18], 1)])
    triangles = grid_triangles(2, len(xy))
    triangles = triangles[:, ::-1] if flip else triangles
    return from_vertices(
        np.concatenate([low, high]), triangles, materials.CONCRETE, (0.30, 0.295, 0.285), uv=uv, crease_deg=40
    )


def _sheet(
    road: Road, s: np.ndarray, d: np.ndarray, z_m: float, material: int, params: tuple, *, flip: bool = False
) -> Mesh:
    xy = road.to_world(s, d).reshape(-1, 2)
    vertices = np.concatenate([xy, np.full((len(xy), 1), z_m)], axis=1)
    triangles = grid_triangles(*s.shape)[:, ::-1] if not flip else grid_triangles(*s.shape)
    uv = np.stack([s.ravel(), d.ravel()], axis=1)
    return from_vertices(vertices, triangles, material, (0.1, 0.1, 0.1), uv=uv, params=params)


def terrain(road: Road, generator: np.random.Generator) -> Mesh:
    """Return the land around: just below the carriageway near the road, rising to low hills towards the horizon."""
    centre = road.to_world(road.end_m * 0.3, 0.0)
    radii = np.concatenate([np.arange(0, 300, 12.0), np.geomspace(300, 1500, 18)])
    angle = np.arange(96) * 2 * np.pi / 96
    x = centre[0] + radii[:, None] * np.cos(angle)
    y = centre[1] + radii[:, None] * np.sin(angle)
    samples = road.xy_m[::16]
    distance = np.sqrt(((np.stack([x, y], -1)[:, :, None] - samples) ** 2).sum(-1)).min(-1)
    rise = np.clip((distance - 130) / 500, 0, 1.6) ** 1.3
    relief = np.zeros_like(x)
    for _ in range(5):
        wave = generator.uniform(180, 700)
        direction, phase = generator.uniform(0, 2 * np.pi, 2)
        relief += np.sin(2 * np.pi * (x * np.cos(direction) + y * np.sin(direction)) / wave + phase)
    height = -0.3 + rise * (14 + 5.5 * relief) * generator.uniform(0.4, 1.6)
    vertices = np.stack([x, y, np.where(distance < 110, -0.3, np.maximum(height, -0.3))], axis=-1).reshape(-1, 3)
    triangles = grid_triangles(len(radii), 96, closed=True)
    return from_vertices(vertices, triangles, materials.TERRAIN, (0.1, 0.15, 0.05), crease_deg=180)
