"""The static world of a seed: the ground, and everything that stands beside the road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic.districts import DISTRICTS, LOTS, SHARES, fill_block
from surround_depth.data.synthetic.kerbside import close_view, furnish_kerb, park_along_kerb, signal_crossings
from surround_depth.data.synthetic.mesh import Mesh, merge
from surround_depth.data.synthetic.placement import Block, Placer, new_placer
from surround_depth.data.synthetic.road import Lot, Road, block_mesh, carriageway, terrain
from surround_depth.data.synthetic.vehicles import Vehicle
from surround_depth.geometry import Array

_BUILT_BEFORE_M = 95.0
_BUILT_BEYOND_M = 150.0


@dataclass(frozen=True)
class StaticScene:
    """Everything that does not move."""

    mesh: Mesh  # world frame
    parked: tuple[tuple[Vehicle, Array], ...]  # with T_world_vehicle [4, 4]
    districts: tuple[str, str]  # left and right of the road


def build_static(generator: np.random.Generator, road: Road, drive_m: float) -> StaticScene:
    """Return the world around the stretch of road that a drive of drive_m metres sees."""
    placer = new_placer(road, generator)
    left = str(generator.choice(DISTRICTS, p=SHARES))
    right = left if generator.random() < 0.55 else str(generator.choice(DISTRICTS))
    for s0, s1 in road.stretches():
        for side, district in ((1, left), (-1, right)):
            _build_block(placer, s0, s1, side, district, drive_m)
    close_view(placer)
    signal_crossings(placer)
    if road.parking_m > 0:
        park_along_kerb(placer, drive_m + 120, float(generator.uniform(0.25, 0.85)))
    mesh = merge([terrain(road, generator), carriageway(road), *placer.parts])
    return StaticScene(mesh, tuple(placer.parked), (left, right))


def _build_block(placer: Placer, s0_m: float, s1_m: float, side: int, district: str, drive_m: float) -> None:
    slab_m = float(placer.generator.choice([0.0, 0.3, 0.5, 0.8]))
    lot = Lot(LOTS[district], slab_m, float(placer.generator.uniform(-0.3, 0.35)))
    placer.parts.append(block_mesh(placer.road, s0_m, s1_m, side, lot))
    block = Block(max(s0_m + 2.0, -_BUILT_BEFORE_M), min(s1_m - 2.0, drive_m + _BUILT_BEYOND_M), side)
    if block.s1_m - block.s0_m > 8:
        fill_block(placer, block, district)
        furnish_kerb(placer, block, district)
