"""What stands along the kerb: lamps, street trees, signs, signals, parked cars; and what closes the view."""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic import buildings, furniture, vegetation
from surround_depth.data.synthetic.placement import Block, Placer
from surround_depth.data.synthetic.road import BEFORE_M

_LEAFY = tuple(i for i, kind in enumerate(vegetation.KINDS) if kind != "conifer")


def furnish_kerb(placer: Placer, block: Block, district: str) -> None:
    """Stand lamps, street trees, signs and small things on the pavement."""
    generator, road = placer.generator, placer.road
    edge = road.half_width_m + 0.55
    if district != "country" or generator.random() < 0.3:
        _lamps(placer, block, edge)
    if road.pavement_m > 2.4 and district in ("town", "residential", "estate") and generator.random() < 0.65:
        _street_trees(placer, block, edge + 0.35)
    for _ in range(int((block.s1_m - block.s0_m) / 45 + generator.random())):
        s = generator.uniform(block.s0_m + 1, block.s1_m - 1)
        sign = furniture.sign(int(generator.integers(4)))
        placer.put(sign, s, block.side * (edge - 0.1), turn_rad=block.along_rad)
    if district == "town" and generator.random() < 0.5:
        start = generator.uniform(block.s0_m, block.s1_m)
        for s in np.arange(start, min(start + 14, block.s1_m), 1.6):
            placer.put(furniture.bollard(), s, block.side * (road.half_width_m + 0.4))
    if district != "country" and block.s1_m - block.s0_m > 14 and road.pavement_m > 2.6 and generator.random() < 0.4:
        s, d = generator.uniform(block.s0_m + 5, block.s1_m - 5), block.side * placer.line_m(0.6)
        if placer.free(s - 2.2, s + 2.2, d - 1.2, d + 1.2):
            placer.put(furniture.bus_shelter(), s, d, turn_rad=block.facing_rad)


def _lamps(placer: Placer, block: Block, d_m: float) -> None:
    height, step = placer.generator.uniform(5.5, 8.5), placer.generator.uniform(24, 34)
    lamp = furniture.lamp(float(height), 1.6)
    d = block.side * d_m
    for s in np.arange(block.s0_m + placer.generator.uniform(1, step), block.s1_m, step):
        placer.put(lamp, s, d, turn_rad=block.facing_rad)
        placer.claim(s - 1, s + 1, d - 0.5, d + 0.5)


def _street_trees(placer: Placer, block: Block, d_m: float) -> None:
    kind, step = int(placer.generator.choice(_LEAFY)), placer.generator.uniform(9, 16)
    d = block.side * d_m
    for s in np.arange(block.s0_m + placer.generator.uniform(2, step), block.s1_m - 2, step):
        if placer.generator.random() < 0.85 and placer.free(s - 1, s + 1, d - 0.3, d + 0.3):
            placer.plant(s, d, kind)


def signal_crossings(placer: Placer) -> None:
    """Put traffic lights or signs at the side streets: on the right of each arriving lane."""
    road, generator = placer.road, placer.generator
    for at, half in road.crossings:
        kind = generator.random()
        for along in (-1, 1):
            # traffic towards +s arrives at the low end and keeps to d < 0
            s, d = at + along * (half + 4.4), along * (road.half_width_m + 0.5)
            turn = 0.0 if along < 0 else np.pi
            if kind < 0.5:
                mast = road.half_width_m * 0.8 if road.lanes_per_side > 1 else 0.0
                placer.put(furniture.signal(int(generator.choice([0, 2, 2])), mast), s, d, turn_rad=turn)
            elif kind < 0.8:
                placer.put(furniture.sign(3), s, d, turn_rad=turn)
            give_way = furniture.sign(4 if kind >= 0.5 else 2)
            cross_d = along * (road.half_width_m + 4.6)
            placer.put(give_way, at - along * (half + 0.5), cross_d, turn_rad=turn - np.pi / 2)


def park_along_kerb(placer: Placer, until_m: float, share: float) -> None:
    """Fill a share of the parking lanes on both sides, clear of the side streets."""
    road, generator = placer.road, placer.generator
    for side in (-1, 1):
        s = -60.0
        while s < until_m:
            s += generator.uniform(5.8, 7.0)
            clear = all(abs(s - at) > half + 8.5 for at, half in road.crossings)
            if clear and generator.random() < share:
                d = side * (road.half_width_m - 1.12 + generator.uniform(-0.06, 0.06))
                placer.park(s, d, (0.0 if side < 0 else np.pi) + generator.normal(0, 0.015), 0.0)


def close_view(placer: Placer) -> None:
    """Fill the horizon with woods and far buildings where the followed road and the side streets end."""
    road, generator = placer.road, placer.generator
    places = []
    for side in (-1, 1):
        for s in np.arange(-80, road.end_m - 60, 13.0):
            places.append((s + generator.uniform(-5, 5), side * generator.uniform(72, 105)))
    for s_end in (-BEFORE_M + 1, road.end_m - 1):
        for d in np.arange(-40, 41, 5.5):
            places.append((s_end + generator.uniform(-3, 3), d))
    for s, d in places:
        if generator.random() < 0.72:
            tree = placer.far_trees[int(generator.integers(len(placer.far_trees)))]
            placer.put(tree.scaled((generator.uniform(0.9, 1.5),) * 3), s, d, z_m=-0.3)
        elif abs(d) > 70:
            flats = buildings.block_of_flats(generator, in_row=False)
            placer.put(flats.mesh, s, d, z_m=-0.3, turn_rad=generator.uniform(-0.2, 0.2))
