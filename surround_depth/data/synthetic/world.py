"""The scene as rays see it: a static hierarchy built once, the movers rebuilt for every moment, one attribute table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic.drive_types import RenderedBox
from surround_depth.data.synthetic.ego import EgoMotion
from surround_depth.data.synthetic.jit import entry
from surround_depth.data.synthetic.lighting import Sky
from surround_depth.data.synthetic.mesh import Mesh, merge
from surround_depth.data.synthetic.noise import noise_textures
from surround_depth.data.synthetic.raycast import Hits, RayScene
from surround_depth.data.synthetic.road import Road
from surround_depth.data.synthetic.scene import StaticScene
from surround_depth.data.synthetic.shading import geometric_normals, shade
from surround_depth.data.synthetic.traffic import Actor
from surround_depth.geometry import Array, transform

_MOVERS_SEEN_M = 130.0
_CONTACT_SEEN_M = 60.0
_SHADOW_BIAS_M = 0.015


@dataclass(frozen=True)
class Moment:
    """The movers at one time: their ray scene, attributes, bounds (x, y, z, radius) and ground boxes."""

    scene: RayScene
    mesh: Mesh
    spheres: np.ndarray  # f32 [M, 4]
    boxes: np.ndarray  # f32 [B, 6]


class World:
    """Everything a ray needs. Not for sharing between threads: the attribute tables are reused."""

    def __init__(
        self, road: Road, static: StaticScene, actors: tuple[Actor, ...], ego: EgoMotion, body: Mesh, sky: Sky
    ) -> None:
        self.road, self.actors, self.ego, self.sky = road, actors, ego, sky
        self._body = body
        self._static = static
        self._scene = RayScene(static.mesh.corners_m)
        self.n_static = len(static.mesh)
        self._tables = _Tables(static.mesh)
        self._lanes, self._crossings = road.shader_lanes(), road.crossings
        self._textures = noise_textures()
        self._parked_boxes = np.array(
            [_ground_box(T, v.length_m, v.width_m) for v, T in static.parked], dtype=np.float32
        ).reshape(-1, 6)

    def moment(self, time_s: float) -> Moment:
        """Return the movers (own vehicle first) at a time in seconds."""
        T_world_ego = self.ego.T_world_ego(time_s)
        parts, spheres = [self._body.moved(T_world_ego)], [_sphere(self._body, T_world_ego)]
        boxes = [_ground_box(T_world_ego @ _BODY_CENTRE, 4.2, 1.74)]
        for actor in self.actors:
            T = actor.T_world_actor(time_s)
            distance = float(np.hypot(*(T[:2, 3] - T_world_ego[:2, 3])))
            if distance < _MOVERS_SEEN_M:
                mesh = actor.mesh_at(time_s)
                parts.append(mesh.moved(T))
                spheres.append(_sphere(mesh, T))
                if distance < _CONTACT_SEEN_M:
                    boxes.append(_ground_box(T, *actor.footprint_m))
        near = np.hypot(*(self._parked_boxes[:, :2] - T_world_ego[:2, 3]).T) < _CONTACT_SEEN_M
        merged = merge(parts)
        ground = np.concatenate([np.array(boxes, np.float32), self._parked_boxes[near]])
        return Moment(RayScene(merged.corners_m), merged, np.array(spheres, dtype=np.float32), ground)

    def boxes(self, time_s: float, parked_within_m: float = 70.0) -> tuple[RenderedBox, ...]:
        """Return annotations of all actors and parked vehicles near the ego at a time."""
        here = self.ego.T_world_ego(time_s)[:2, 3]
        found = [actor.box_at(time_s) for actor in self.actors]
        for i, (vehicle, T) in enumerate(self._static.parked):
            centred = T.copy()
            centred[2, 3] += vehicle.height_m / 2
            size = (vehicle.length_m, vehicle.width_m, vehicle.height_m)
            found.append(RenderedBox(f"parked-{i}", vehicle.kind, centred, size, (0.0, 0.0, 0.0)))
        return tuple(b for b in found if np.hypot(*(b.T_world_box[:2, 3] - here)) < parked_within_m)

    def trace(self, moment: Moment, rays: np.ndarray) -> Hits:
        """Return nearest hits of rays f32 [R, 6]; triangles from n_static on belong to the moment."""
        hits = self._scene.cast(rays)
        candidates = np.flatnonzero(near_spheres(rays, hits.t, moment.spheres))
        moving = moment.scene.cast(np.ascontiguousarray(rays[candidates]))
        t, triangle, barycentric = hits.t.copy(), hits.triangle.copy(), hits.barycentric.copy()
        nearer = moving.t < t[candidates]
        chosen = candidates[nearer]
        t[chosen] = moving.t[nearer]
        triangle[chosen] = moving.triangle[nearer] + self.n_static
        barycentric[chosen] = moving.barycentric[nearer]
        return Hits(t, triangle, barycentric)

    def tables(self, moment: Moment) -> Mesh:
        """Return the attributes of static and moving triangles under the numbering of `trace`."""
        return self._tables.with_moving(moment.mesh)

    def sunlit(self, moment: Moment, tables: Mesh, rays: np.ndarray, hits: Hits) -> np.ndarray:
        """Return f32 [R], 1 where the sun reaches the hit, 0 in shadow and where the surface faces away."""
        sun = self.sky.sun_direction
        facing = np.empty(len(hits.t), np.float32)
        geometric_normals(rays[:, 3:], hits.triangle, hits.barycentric, tables.normals, sun, facing)
        towards = facing > 0.0
        # foliage lets light through, so its back side asks too
        towards |= (hits.triangle >= 0) & (tables.material[np.maximum(hits.triangle, 0)] == 9)
        asked = np.flatnonzero(towards)
        shadow_rays = _shadow_rays(rays, hits.t, asked, sun, np.float32(_SHADOW_BIAS_M))
        dark = self._scene.occluded(shadow_rays)
        candidates = np.flatnonzero(
            near_spheres(shadow_rays, np.where(dark, 0, np.inf).astype(np.float32), moment.spheres)
        )
        dark[candidates] |= moment.scene.occluded(np.ascontiguousarray(shadow_rays[candidates]))
        lit = np.zeros(len(hits.t), np.float32)
        lit[asked] = ~dark
        return lit

    def radiance(self, moment: Moment, tables: Mesh, rays: np.ndarray, hits: Hits, pixel_rad: float) -> np.ndarray:
        """Return linear rgb f32 [R, 3] of traced rays that share one origin."""
        lit = self.sunlit(moment, tables, rays, hits)
        out = np.empty((len(hits.t), 3), np.float32)
        shade(
            rays[0, :3], rays[:, 3:], hits.t, hits.triangle, hits.barycentric, lit, tables.normals, tables.uv,
            tables.material, tables.rgb, tables.params, self._textures, self._lanes, self._crossings, moment.boxes,
            self.sky.light, self.sky.dome, np.float32(pixel_rad), out,
        )  # fmt: skip
        return out


class _Tables:
    """The static attributes with room behind them for the movers, so that a moment copies only its own triangles."""

    _FIELDS = ("corners_m", "normals", "uv", "material", "rgb", "params")

    def __init__(self, static: Mesh, room: int = 40_000) -> None:
        self._static, self._room = static, room
        self._buffers = {name: _extended(getattr(static, name), room) for name in self._FIELDS}

    def with_moving(self, moving: Mesh) -> Mesh:
        """Return views of all triangles; valid until the next call."""
        if len(moving) > self._room:
            self.__init__(self._static, 2 * len(moving))  # type: ignore[misc]
        first, end = len(self._static), len(self._static) + len(moving)
        for name, buffer in self._buffers.items():
            buffer[first:end] = getattr(moving, name)
        return Mesh(**{name: buffer[:end] for name, buffer in self._buffers.items()})


def _extended(values: np.ndarray, room: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((room, *values.shape[1:]), values.dtype)])


_BODY_CENTRE = np.array([[1, 0, 0, 1.35], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float64)


def _ground_box(T_world_object: Array, length_m: float, width_m: float) -> tuple[float, ...]:
    c, s = T_world_object[0, 0], T_world_object[1, 0]
    norm = float(np.hypot(c, s))
    return (float(T_world_object[0, 3]), float(T_world_object[1, 3]), c / norm, s / norm, length_m / 2, width_m / 2)


def _sphere(mesh: Mesh, T_world_mesh: Array) -> tuple[float, ...]:
    centre, radius = mesh.bounds
    ((x, y, z),) = transform(T_world_mesh, centre[None])
    return (float(x), float(y), float(z), radius)


@entry
def _shadow_rays(rays: np.ndarray, t: np.ndarray, asked: np.ndarray, sun: np.ndarray, bias: float) -> np.ndarray:
    """Return rays [A, 6] towards the sun from the hits `asked`, started a little before the surface."""
    out = np.empty((asked.shape[0], 6), np.float32)
    for i in range(asked.shape[0]):
        k = asked[i]
        for c in range(3):
            out[i, c] = rays[k, c] + rays[k, 3 + c] * (t[k] - bias) + sun[c] * bias
            out[i, 3 + c] = sun[c]
    return out


@entry
def near_spheres(rays: np.ndarray, t_max: np.ndarray, spheres: np.ndarray) -> np.ndarray:
    """Return bool [R]: does ray [R, 6] (unit direction) enter any sphere [M, 4] before t_max [R]?"""
    hit = np.zeros(rays.shape[0], np.bool_)
    for i in range(rays.shape[0]):
        ox, oy, oz, dx, dy, dz = rays[i, 0], rays[i, 1], rays[i, 2], rays[i, 3], rays[i, 4], rays[i, 5]
        for j in range(spheres.shape[0]):
            cx, cy, cz = spheres[j, 0] - ox, spheres[j, 1] - oy, spheres[j, 2] - oz
            r2 = spheres[j, 3] * spheres[j, 3]
            along = cx * dx + cy * dy + cz * dz
            c2 = cx * cx + cy * cy + cz * cz
            if c2 <= r2:
                hit[i] = t_max[i] > 0
                break
            if along <= 0 or along - spheres[j, 3] > t_max[i]:
                continue
            if c2 - along * along <= r2:
                hit[i] = True
                break
    return hit
