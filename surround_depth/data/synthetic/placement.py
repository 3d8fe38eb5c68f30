"""Where things may stand beside the road, and the few ways of standing them there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from surround_depth.data.synthetic import vegetation
from surround_depth.data.synthetic.buildings import Building
from surround_depth.data.synthetic.mesh import Mesh, pose
from surround_depth.data.synthetic.road import KERB_M, REACH_M, Road
from surround_depth.data.synthetic.vehicles import Vehicle, build_vehicle, draw_paint
from surround_depth.geometry import Array

_PARKED = ("sedan", "hatch", "hatch", "estate", "suv", "van", "minibus")


@dataclass(frozen=True)
class Block:
    """The side of the road between two side streets; side +1 is left of the road, -1 right."""

    s0_m: float
    s1_m: float
    side: int

    @property
    def facing_rad(self) -> float:
        """Turn of a thing whose +y must look at the road."""
        return np.pi if self.side > 0 else 0.0

    @property
    def along_rad(self) -> float:
        """Turn of a thing that belongs to the traffic of this side."""
        return 0.0 if self.side < 0 else np.pi


@dataclass
class Placer:
    """Collects placed meshes and remembers which ground is taken, in road coordinates (s, d)."""

    road: Road
    generator: np.random.Generator
    trees: tuple[Mesh, ...]  # one of each of vegetation.KINDS
    far_trees: tuple[Mesh, ...]  # coarse ones
    parts: list[Mesh] = field(default_factory=list)
    parked: list[tuple[Vehicle, Array]] = field(default_factory=list)
    _taken: list[tuple[float, float, float, float]] = field(default_factory=list)  # s0, s1, d0, d1

    def put(self, mesh: Mesh, s_m: float, d_m: float, *, turn_rad: float = 0.0, z_m: float = KERB_M) -> None:
        """Stand a mesh at (s, d), its x along the road before the turn."""
        x, y = self.road.to_world(s_m, d_m)
        self.parts.append(mesh.moved(pose(x, y, z_m, float(self.road.heading_at(s_m)) + turn_rad)))

    def free(self, s0: float, s1: float, d0: float, d1: float) -> bool:
        """Return whether nothing claimed the rectangle and no side street runs through it."""
        if any(s0 < at + half + 1.0 and s1 > at - half - 1.0 for at, half in self.road.crossings):
            return False
        return all(s1 < a or s0 > b or d1 < c or d0 > d for a, b, c, d in self._taken)

    def claim(self, s0: float, s1: float, d0: float, d1: float) -> None:
        """Take a rectangle."""
        self._taken.append((s0, s1, d0, d1))

    def line_m(self, beyond_m: float = 0.0) -> float:
        """Return |d| of a line beyond the pavement."""
        return self.road.half_width_m + self.road.pavement_m + beyond_m

    def try_building(self, built: Building, s_m: float, d_m: float, block: Block) -> bool:
        """Stand a building with its front on the line |d| = d_m from s_m on, where there is room."""
        low, high = (d_m, d_m + built.depth_m) if block.side > 0 else (-d_m - built.depth_m, -d_m)
        end = s_m + built.width_m
        if end > block.s1_m or d_m + built.depth_m > REACH_M - 1 or not self.free(s_m, end, low, high):
            return False
        self.claim(s_m - 0.8, end + 0.8, low, high)
        centred = built.mesh.moved(pose(-built.width_m / 2, 0))
        turn = 0.0 if block.side > 0 else np.pi
        self.put(centred, s_m + built.width_m / 2, block.side * d_m, turn_rad=turn)
        return True

    def park(self, s_m: float, d_m: float, turn_rad: float, z_m: float) -> None:
        """Leave a random car standing with its middle at (s, d)."""
        vehicle = build_vehicle(str(self.generator.choice(_PARKED)), draw_paint(self.generator))
        x, y = self.road.to_world(s_m, d_m)
        T_world_vehicle = pose(x, y, z_m, float(self.road.heading_at(s_m)) + turn_rad)
        self.parked.append((vehicle, T_world_vehicle))
        self.parts.append(vehicle.mesh.moved(T_world_vehicle))

    def plant(self, s_m: float, d_m: float, kind: int | None = None) -> None:
        """Plant a tree: one of the kinds, in its own size, tint and turn."""
        draw = self.generator.uniform
        tree = self.trees[int(self.generator.integers(len(self.trees))) if kind is None else kind]
        scale, tint = draw(0.8, 1.2), draw(0.82, 1.18)
        grown = tree.scaled((scale, scale, scale * draw(0.9, 1.12)))
        self.put(grown.tinted((tint * draw(0.9, 1.15), tint, tint)), s_m, d_m, turn_rad=draw(0, 2 * np.pi))

    def scatter_trees(self, block: Block, near_m: float, far_m: float, per_m: float) -> None:
        """Plant trees between the lines |d| = near_m and far_m, per_m of them a metre of road, where it is free."""
        for _ in range(int((block.s1_m - block.s0_m) * per_m)):
            s = self.generator.uniform(block.s0_m, block.s1_m)
            d = block.side * self.generator.uniform(near_m, max(far_m, near_m + 1))
            if self.free(s - 2.2, s + 2.2, d - 2.2, d + 2.2):
                self.plant(s, d)
                self.claim(s - 1.2, s + 1.2, d - 1.2, d + 1.2)


def new_placer(road: Road, generator: np.random.Generator) -> Placer:
    """Return an empty placer with the scene's trees."""
    near = tuple(vegetation.build_tree(generator, kind) for kind in vegetation.KINDS)
    far = tuple(vegetation.build_tree(generator, kind, coarse=True) for kind in ("round", "birch", "poplar", "oak"))
    return Placer(road, generator, near, far)
