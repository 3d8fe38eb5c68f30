"""Triangle soups with the attributes that shading reads, and the primitives every asset is built from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """T triangles. Frame: the builder's own (objects: x forward, y left, z up, z = 0 on the ground), metres."""

    corners_m: np.ndarray  # f32 [T, 3, 3]
    normals: np.ndarray  # f32 [T, 3, 3] unit, one per corner
    uv: np.ndarray  # f32 [T, 3, 2] texture coordinates, metres
    material: np.ndarray  # u8 [T], see `materials`
    rgb: np.ndarray  # f32 [T, 3] linear albedo (or emission of lamps)
    params: np.ndarray  # f32 [T, 4], meaning depends on the material

    def __len__(self) -> int:
        return int(self.corners_m.shape[0])

    @cached_property
    def bounds(self) -> tuple[np.ndarray, float]:
        """Centre [3] and radius of a sphere around the mesh, metres."""
        points = self.corners_m.reshape(-1, 3).astype(np.float64)
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        return centre, float(np.sqrt(((points - centre) ** 2).sum(axis=1).max())) * 1.001 + 1e-3

    def moved(self, T_a_b: np.ndarray) -> Mesh:
        """Return the mesh in frame a (T_a_b rigid)."""
        R = T_a_b[:3, :3].astype(np.float32)
        corners_m = self.corners_m @ R.T + T_a_b[:3, 3].astype(np.float32)
        return replace(self, corners_m=corners_m, normals=self.normals @ R.T)

    def scaled(self, scale_xyz: Iterable[float]) -> Mesh:
        """Return the mesh scaled per axis about its origin."""
        scale = np.asarray(tuple(scale_xyz), dtype=np.float32)
        normals = self.normals / scale
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        return replace(self, corners_m=self.corners_m * scale, normals=normals.astype(np.float32))

    def tinted(self, factor: Rgb) -> Mesh:
        """Return the mesh with every colour multiplied by factor."""
        return replace(self, rgb=(self.rgb * np.asarray(factor, dtype=np.float32)).astype(np.float32))


def pose(x_m: float, y_m: float, z_m: float = 0.0, yaw_rad: float = 0.0) -> np.ndarray:
    """Return T [4, 4] with a rotation about z."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0, x_m], [s, c, 0, y_m], [0, 0, 1, z_m], [0, 0, 0, 1]], dtype=np.float64)


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """Return all triangles as one mesh, in the order given."""
    parts = list(meshes)
    if not parts:
        return Mesh(
            np.zeros((0, 3, 3), np.float32),
            np.zeros((0, 3, 3), np.float32),
            np.zeros((0, 3, 2), np.float32),
            np.zeros(0, np.uint8),
            np.zeros((0, 3), np.float32),
            np.zeros((0, 4), np.float32),
        )
    fields = ("corners_m", "normals", "uv", "material", "rgb", "params")
    return Mesh(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


def corner_normals(vertices_m: np.ndarray, triangles: np.ndarray, crease_deg: float) -> np.ndarray:
    """Return unit normals f32 [T, 3, 3]: faces of one vertex are averaged where they meet at less than crease_deg."""
    corners = vertices_m[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # length = twice the area
    if crease_deg <= 0:
        face /= np.maximum(np.sqrt((face * face).sum(axis=1, keepdims=True)), 1e-12)
        return np.repeat(face[:, None], 3, axis=1).astype(np.float32)
    order = np.argsort(triangles.ravel(), kind="stable")
    vertex = triangles.ravel()[order]
    weighted = face[order // 3]
    unit = weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-12)
    total = weighted.copy()
    limit = np.cos(np.radians(crease_deg))
    for k in range(1, int(np.bincount(vertex).max())):
        together = (vertex[k:] == vertex[:-k]) & ((unit[k:] * unit[:-k]).sum(axis=1) > limit)
        total[k:][together] += weighted[:-k][together]
        total[:-k][together] += weighted[k:][together]
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    normals = np.empty_like(total)
    normals[order] = total
    return normals.reshape(-1, 3, 3).astype(np.float32)


def from_vertices(
    vertices_m: np.ndarray,
    triangles: np.ndarray,
    material: int,
    rgb: Rgb,
    *,
    uv: np.ndarray | None = None,
    crease_deg: float = 0.0,
    params: tuple[float, float, float, float] = (0, 0, 0, 0),
) -> Mesh:
    """Return indexed triangles [T, 3] of one material; uv per vertex [V, 2], by default its xy."""
    vertices_m = np.asarray(vertices_m, dtype=np.float64)
    triangles = np.asarray(triangles, dtype=np.int64).reshape(-1, 3)
    n = triangles.shape[0]
    vertex_uv = vertices_m[:, :2] if uv is None else np.asarray(uv)
    return Mesh(
        vertices_m[triangles].astype(np.float32),
        corner_normals(vertices_m, triangles, crease_deg),
        vertex_uv[triangles].astype(np.float32),
        np.full(n, material, np.uint8),
        np.tile(np.asarray(rgb, np.float32), (n, 1)),
        np.tile(np.asarray(params, np.float32), (n, 1)),
    )


def grid_triangles(n_rows: int, n_columns: int, *, closed: bool = False) -> np.ndarray:
    """Return triangles [T, 3] of a vertex grid stored row by row; closed joins the last column to the first."""
    rows = np.arange(n_rows - 1)[:, None]
    columns = np.arange(n_columns if closed else n_columns - 1)[None, :]
    following = (columns + 1) % n_columns
    a, b = rows * n_columns + columns, rows * n_columns + following
    c, d = (rows + 1) * n_columns + following, (rows + 1) * n_columns + columns
    return np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)


def quad(
    corners_m: np.ndarray, material: int, rgb: Rgb, *, params: tuple = (0, 0, 0, 0), uv0: Rgb | None = None
) -> Mesh:
    """Return a flat quad [4, 3], counter-clockwise from outside; uv = metres from corner 0 along edges 01 and 03."""
    corners = np.asarray(corners_m, dtype=np.float64)
    width, height = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
    uv = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    if uv0 is not None:
        uv = uv + np.asarray(uv0[:2])
    return from_vertices(corners, np.array([[0, 1, 2], [0, 2, 3]]), material, rgb, uv=uv, params=params)


_BOX_FACES = np.array(
    [[1, 3, 7, 5], [2, 0, 4, 6], [3, 2, 6, 7], [0, 1, 5, 4], [4, 5, 7, 6], [2, 3, 1, 0]]
)  # +x, -x, +y, -y, +z, -z; corner bits: 1 = +x, 2 = +y, 4 = +z


def box(centre_m: Iterable[float], size_m: Iterable[float], material: int, rgb: Rgb, *, bottom: bool = True) -> Mesh:
    """Return an axis-aligned box; uv of a face = metres along and up it."""
    centre, size = np.asarray(tuple(centre_m)), np.asarray(tuple(size_m))
    signs = np.array([[(i & 1), (i >> 1) & 1, (i >> 2) & 1] for i in range(8)]) - 0.5
    faces = _BOX_FACES if bottom else _BOX_FACES[:5]
    vertices = (centre + signs * size)[faces].reshape(-1, 3)
    spans = [(size[1], size[2])] * 2 + [(size[0], size[2])] * 2 + [(size[0], size[1])] * 2
    uv = np.concatenate([np.array([(0, 0), (u, 0), (u, v), (0, v)]) for u, v in spans[: len(faces)]])
    first = np.arange(len(faces))[:, None] * 4
    triangles = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])], axis=1).reshape(-1, 3)
    return from_vertices(vertices, triangles, material, rgb, uv=uv)


def tube(
    path_m: np.ndarray, radii_m: np.ndarray, material: int, rgb: Rgb, *, sides: int = 8, capped: bool = True
) -> Mesh:
    """Return a round tube along path [P, 3] with radii [P]; uv = (metres around, metres along)."""
    path = np.asarray(path_m, dtype=np.float64)
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    reference = np.where(np.abs(tangent[:, 2:3]) > 0.9, np.array([[1.0, 0, 0]]), np.array([[0, 0, 1.0]]))
    side = np.cross(reference, tangent)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(tangent, side)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    radii = np.asarray(radii_m, dtype=np.float64)
    vertices = (path[:, None] + ring * radii[:, None, None]).reshape(-1, 3)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    uv = np.stack([np.tile(angle * radii.max(), len(path)), np.repeat(along, sides)], axis=1)
    triangles = grid_triangles(len(path), sides, closed=True)
    if capped:
        n = len(vertices)
        vertices = np.concatenate([vertices, path[:1], path[-1:]])
        uv = np.concatenate([uv, [[0, 0], [0, along[-1]]]])
        around = np.arange(sides)
        following, last = (around + 1) % sides, (len(path) - 1) * sides
        start = np.stack([np.full(sides, n), following, around], -1)
        end = np.stack([np.full(sides, n + 1), last + around, last + following], -1)
        triangles = np.concatenate([triangles, start, end])
    return from_vertices(vertices, triangles, material, rgb, uv=uv, crease_deg=50.0)


def ellipsoid(
    centre_m: Iterable[float], radii_m: Iterable[float], material: int, rgb: Rgb, *, rings: int = 6, sides: int = 8
) -> Mesh:
    """Return a closed ellipsoid."""
    polar = np.linspace(0.02, np.pi - 0.02, rings)[:, None]
    angle = -np.arange(sides)[None, :] * 2 * np.pi / sides
    unit = np.stack(
        [np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar) * np.ones_like(angle)], axis=-1
    )
    vertices = unit.reshape(-1, 3) * np.asarray(tuple(radii_m)) + np.asarray(tuple(centre_m))
    return from_vertices(vertices, grid_triangles(rings, sides, closed=True), material, rgb, crease_deg=180.0)


def capsule(
    start_m: Iterable[float], end_m: Iterable[float], radius_m: float, material: int, rgb: Rgb, *, taper: float = 1.0
) -> Mesh:
    """Return a limb from start to end with rounded ends; taper = end radius / start radius."""
    a, b = np.asarray(tuple(start_m), dtype=np.float64), np.asarray(tuple(end_m), dtype=np.float64)
    axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    r0, r1 = radius_m, radius_m * taper
    path = np.array([a - axis * r0 * 0.8, a - axis * r0 * 0.3, a, b, b + axis * r1 * 0.3, b + axis * r1 * 0.8])
    return tube(path, np.array([0.4 * r0, 0.9 * r0, r0, r1, 0.9 * r1, 0.4 * r1]), material, rgb, sides=7)


def disc(
    centre_m: Iterable[float],
    normal_axis_y: float,
    radius_m: float,
    material: int,
    rgb: Rgb,
    *,
    sides: int = 16,
    start_rad: float = 0.0,
    sweep_rad: float = 2 * np.pi,
) -> Mesh:
    """Return a disc (or a sector of one) in the xz plane, facing +y or -y by the sign of normal_axis_y."""
    angle = start_rad + np.linspace(0, sweep_rad, sides + 1)
    centre = np.asarray(tuple(centre_m), dtype=np.float64)
    rim = centre + radius_m * np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=1)
    index = np.arange(sides)
    first, second = (index + 2, index + 1) if normal_axis_y > 0 else (index + 1, index + 2)
    triangles = np.stack([np.zeros(sides, dtype=np.int64), first, second], -1)
    return from_vertices(np.concatenate([centre[None], rim]), triangles, material, rgb)
