"""Vehicles lofted from side profiles: cars, vans, buses, lorries, with wheels, glass, lamps and plates.

Frame of a vehicle: x forward, y left, z up, origin on the ground below the middle of its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic import materials
from surround_depth.data.synthetic.mesh import Mesh, Rgb, box, disc, from_vertices, grid_triangles, merge, pose, tube
from surround_depth.data.synthetic.vehicle_profiles import PROFILES, Profile

_BLACK: Rgb = (0.018, 0.018, 0.02)
_TYRE: Rgb = (0.022, 0.022, 0.022)
_GLASS: Rgb = (0.02, 0.025, 0.03)


def _section(profile: Profile, share: float, roof_m: float, half_m: float) -> np.ndarray:
    """Return the right half of a cross-section [8, 2] (y, z) from the floor's middle up to the roof's middle."""
    belt = min(profile.belt_m, roof_m - 0.03)
    raised = np.clip((roof_m - profile.belt_m - 0.06) / 0.3, 0.0, 1.0)
    top = half_m * (0.93 + (profile.shoulder - 0.93) * raised)
    sill = profile.sill_m + 0.14 * max(0.0, abs(share - 0.5) * 2 - 0.86) / 0.14
    middle = sill + 0.5 * (belt - sill)
    return np.array([
        (0.0, sill), (half_m * 0.93, sill), (half_m * 0.985, sill + 0.10), (half_m, middle), (half_m * 0.965, belt),
        (top, roof_m - 0.07 * raised - 0.015), (top * 0.82, roof_m), (0.0, roof_m + 0.025),
    ])  # fmt: skip


def body(profile: Profile, paint: Rgb) -> Mesh:
    """Return the lofted body without wheels."""
    rings, spans = [], []
    for share, roof, span in profile.stations:
        end = max(0.0, abs(share - 0.5) * 2 - 0.80) / 0.20
        half = profile.width_m / 2 * (1 - 0.13 * end**2)
        if share >= 1.0:
            roof = profile.nose_m
        elif share <= 0.0:
            roof = profile.tail_m if profile.tail_m > profile.belt_m else roof
        section = _section(profile, share, roof, half)
        x = (share - 0.5) * profile.length_m
        left = section[::-1][1:] * np.array([-1, 1])
        ring = np.concatenate([section, left])
        rings.append(np.concatenate([np.full((len(ring), 1), x), ring], axis=1))
        spans.append(span)
    n = len(rings[0])
    vertices = np.concatenate(rings)
    triangles = grid_triangles(len(rings), n)[:, ::-1]
    triangles = triangles.reshape(len(rings) - 1, n - 1, 2, 3)
    material = np.full((len(rings) - 1, n - 1), materials.PAINT)
    segment = np.minimum(np.arange(n - 1), n - 2 - np.arange(n - 1))
    for i, span in enumerate(spans[:-1]):
        if span in ("cabin", "screen"):
            material[i, segment == 4] = materials.GLASS
        if span == "screen":
            material[i, segment >= 5] = materials.GLASS
    material[:, segment == 0] = materials.MATTE
    material[:, segment == 1] = materials.MATTE
    shell = _painted(vertices, triangles.reshape(-1, 3), np.repeat(material.ravel(), 2), paint)
    caps = [_cap(rings[0], paint, -1), _cap(rings[-1], paint, +1)]
    return merge([shell, *caps])


def _painted(vertices: np.ndarray, triangles: np.ndarray, material: np.ndarray, paint: Rgb) -> Mesh:
    mesh = from_vertices(vertices, triangles, materials.PAINT, paint, crease_deg=32.0)
    mesh.material[:] = material
    mesh.rgb[material == materials.GLASS] = _GLASS
    mesh.rgb[material == materials.MATTE] = _BLACK
    return mesh


def _cap(ring: np.ndarray, paint: Rgb, direction: int) -> Mesh:
    centre = ring.mean(axis=0, keepdims=True)
    n = len(ring)
    index = np.arange(n - 1)
    a, b = (index, index + 1) if direction > 0 else (index + 1, index)
    triangles = np.stack([np.full(n - 1, n), a, b], -1)
    return from_vertices(np.concatenate([ring, centre]), triangles, materials.PAINT, paint)


def _wheels(profile: Profile, track_m: float) -> Mesh:
    parts = []
    r = profile.wheel_m
    for axle in profile.axles:
        x = (axle - 0.5) * profile.length_m
        for side in (-1, 1):
            outer = side * track_m
            path = np.array([[x, outer - side * 0.22, r], [x, outer - side * 0.02, r], [x, outer, r]])
            parts.append(tube(path, np.array([r, r, r * 0.92]), materials.MATTE, _TYRE, sides=16))
            parts.append(
                disc((x, outer + side * 0.006, r), side, r * 0.64, materials.METAL, (0.34, 0.34, 0.35), sides=12)
            )
            parts.append(disc((x, outer + side * 0.012, r), side, r * 0.20, materials.MATTE, (0.1, 0.1, 0.1), sides=8))
            for spoke in range(5):
                parts.append(
                    disc(
                        (x, outer + side * 0.010, r),
                        side,
                        r * 0.54,
                        materials.MATTE,
                        (0.05, 0.05, 0.05),
                        sides=1,
                        start_rad=spoke * 1.2566,
                        sweep_rad=0.45,
                    )
                )
            arch = side * (profile.width_m / 2 + 0.004)
            parts.append(
                disc(
                    (x, arch, r),
                    side,
                    r * 1.2,
                    materials.MATTE,
                    _BLACK,
                    sides=12,
                    start_rad=-0.25,
                    sweep_rad=np.pi + 0.5,
                )
            )
    return merge(parts)


def _details(profile: Profile) -> Mesh:
    """Return lamps, plates, grille, mirrors, bumpers, door lines."""
    half_l, half_w = profile.length_m / 2, profile.width_m / 2
    low = profile.sill_m
    lamp_z = min(profile.nose_m - 0.09, 0.95)
    tail_z = 0.82 if profile.belt_m < 1.0 else min(profile.tail_m - 0.15, 1.05)
    parts = [
        box((half_l - 0.01, 0, lamp_z - 0.05), (0.05, half_w * 0.80, 0.14), materials.MATTE, _BLACK),
        box((half_l - 0.02, 0, low + 0.17), (0.10, half_w * 1.55, 0.12), materials.MATTE, _BLACK),
        box((-half_l + 0.02, 0, low + 0.14), (0.10, half_w * 1.6, 0.14), materials.MATTE, _BLACK),
        box((half_l + 0.02, 0, low + 0.19), (0.03, 0.50, 0.11), materials.MATTE, (0.62, 0.62, 0.60)),
        box((-half_l - 0.01, 0, min(tail_z, 0.8) - 0.08), (0.04, 0.50, 0.11), materials.MATTE, (0.62, 0.62, 0.60)),
    ]
    for side in (-1, 1):
        parts.append(
            box(
                (half_l - 0.10, side * half_w * 0.68, lamp_z),
                (0.20, half_w * 0.36, 0.13),
                materials.LAMP_AT_NIGHT,
                (0.85, 0.85, 0.80),
            )
        )
        parts.append(
            box(
                (-half_l + 0.06, side * half_w * 0.74, tail_z),
                (0.16, half_w * 0.26, 0.17),
                materials.LAMP_AT_NIGHT,
                (0.45, 0.02, 0.02),
            )
        )
        for share, _, span in profile.stations:
            if span == "pillar" and profile.length_m < 6:  # door seams
                x = (share + 0.01 - 0.5) * profile.length_m
                seam = (x, side * (half_w - 0.012), profile.belt_m * 0.62 + low * 0.38)
                parts.append(box(seam, (0.012, 0.028, (profile.belt_m - low) * 0.62), materials.MATTE, _BLACK))
                handle = (x - 0.16, side * (half_w - 0.004), profile.belt_m - 0.11)
                parts.append(box(handle, (0.16, 0.03, 0.03), materials.METAL, (0.2, 0.2, 0.2)))
        mirror_x = _front_of_cabin(profile)
        parts.append(
            box((mirror_x, side * (half_w + 0.09), profile.belt_m + 0.06), (0.10, 0.20, 0.13), materials.MATTE, _BLACK)
        )
    if profile.kind.startswith("vehicle.bus") or profile.tail_m > 1.5:  # a rear window where the tail is a wall
        middle = (-half_l - 0.004, 0, profile.tail_m - 0.62)
        parts.append(box(middle, (0.03, half_w * 1.45, 0.72), materials.GLASS, _GLASS))
    return merge(parts)


def _front_of_cabin(profile: Profile) -> float:
    for share, _, span in reversed(profile.stations):
        if span == "screen":
            return (share - 0.5) * profile.length_m + 0.08
    return 0.0


@dataclass(frozen=True)
class Vehicle:
    """A ready mesh with its nuScenes class and outer size."""

    mesh: Mesh
    kind: str
    length_m: float
    width_m: float
    height_m: float


def build_vehicle(name: str, paint: Rgb) -> Vehicle:
    """Return a vehicle of a named profile, or 'truck' (a cab with a box body)."""
    if name == "truck":
        return _truck(paint)
    profile = PROFILES[name]
    mesh = merge([body(profile, paint), _wheels(profile, profile.width_m / 2 + 0.02), _details(profile)])
    return Vehicle(mesh, profile.kind, profile.length_m, profile.width_m, profile.height_m)


def _truck(paint: Rgb) -> Vehicle:
    cab = PROFILES["cab"]
    length = 7.6
    shift = pose(length / 2 - cab.length_m / 2, 0)
    cargo = box((-1.15, 0, 2.05), (5.1, 2.45, 2.4), materials.PAINT, (0.62, 0.62, 0.60))
    rails = box((-1.15, 0, 0.72), (5.3, 1.6, 0.30), materials.MATTE, (0.05, 0.05, 0.05))
    skirt = [box((-0.6, side * 1.1, 0.65), (2.2, 0.06, 0.4), materials.METAL, (0.35, 0.35, 0.36)) for side in (-1, 1)]
    rear = Profile("", length, 2.45, 0.4, 1.2, 1.0, 0.48, (0.22,), (), 1.0, 1.0)
    lamps = [
        box((-3.68, side * 0.95, 0.85), (0.08, 0.35, 0.16), materials.LAMP_AT_NIGHT, (0.45, 0.02, 0.02))
        for side in (-1, 1)
    ]
    guard = box((-3.66, 0, 0.62), (0.08, 2.2, 0.14), materials.METAL, (0.3, 0.3, 0.3))
    front = merge([body(cab, paint), _wheels(cab, 1.245), _details(cab)]).moved(shift)
    return Vehicle(
        merge([front, cargo, rails, *skirt, _wheels(rear, 1.245), *lamps, guard]), "vehicle.truck", length, 2.45, 3.25
    )


PAINTS: tuple[Rgb, ...] = (
    (0.72, 0.72, 0.72),
    (0.75, 0.75, 0.73),
    (0.38, 0.39, 0.41),
    (0.17, 0.18, 0.19),
    (0.025, 0.025, 0.028),
    (0.03, 0.03, 0.033),
    (0.42, 0.025, 0.025),
    (0.05, 0.09, 0.27),
    (0.03, 0.05, 0.11),
    (0.10, 0.22, 0.33),
    (0.04, 0.12, 0.07),
    (0.46, 0.40, 0.30),
    (0.55, 0.30, 0.04),
    (0.20, 0.11, 0.07),
)
"""Linear colours, the frequent ones first: white, grey, black; `draw_paint` favours them."""


def draw_paint(generator: np.random.Generator) -> Rgb:
    """Return a car colour."""
    paint = PAINTS[int(len(PAINTS) * generator.random() ** 1.6)]
    factor = float(generator.uniform(0.85, 1.15))
    return (paint[0] * factor, paint[1] * factor, paint[2] * factor)
