"""What fills a block, by district: gardens, town rows, estates, shops with car parks, parks, open country."""

from __future__ import annotations

import numpy as np

from surround_depth.data.synthetic import buildings, furniture, materials, vegetation
from surround_depth.data.synthetic.placement import Block, Placer
from surround_depth.data.synthetic.road import KERB_M

DISTRICTS = ("residential", "town", "estate", "commercial", "park", "country")
SHARES = (0.26, 0.24, 0.16, 0.12, 0.12, 0.10)
LOTS = {
    "residential": materials.LOT_GRASS,
    "town": materials.LOT_PAVED,
    "estate": materials.LOT_GRASS,
    "commercial": materials.LOT_ASPHALT,
    "park": materials.LOT_GRASS,
    "country": materials.LOT_MEADOW,
}
_BORDER_STEP_M = 3.0
_BAY_M = 2.6  # of a car park, as `ground_surfaces.block` paints it


def fill_block(placer: Placer, block: Block, district: str) -> None:
    """Build what a district builds on a block."""
    match district:
        case "residential":
            _residential(placer, block)
        case "town":
            _town(placer, block)
        case "estate":
            _estate(placer, block)
        case "commercial":
            _commercial(placer, block)
        case "park":
            _park(placer, block)
        case _:
            _country(placer, block)


def _residential(placer: Placer, block: Block) -> None:
    draw = placer.generator.uniform
    s = block.s0_m + draw(0, 5)
    setback, border, tone = draw(3.5, 8), int(placer.generator.integers(4)), float(draw(0.2, 0.55))
    while s < block.s1_m:
        house, gap = buildings.house(placer.generator), draw(5, 13)
        d = placer.line_m(setback + draw(-1, 2))
        if placer.try_building(house, s, d, block):
            end = min(s + house.width_m + gap / 2 - 1.6, block.s1_m)
            garden_border(placer, block, border, s - gap / 2 + 0.5, end, tone)
            _front_garden(placer, block, s, house.width_m, d)
        s += house.width_m + gap
    placer.scatter_trees(block, placer.line_m(1.5), 45, per_m=0.10)


def _front_garden(placer: Placer, block: Block, s_m: float, width_m: float, d_m: float) -> None:
    draw = placer.generator.uniform
    for _ in range(int(placer.generator.integers(0, 3))):
        bush = vegetation.build_bush(placer.generator, rich=placer.generator.random() < 0.5)
        placer.put(bush, s_m + draw(0, width_m), block.side * (d_m - draw(0.8, 1.6)))
    if placer.generator.random() < 0.5:
        colours = furniture.bin_colours()
        container = furniture.wheelie_bin(colours[int(placer.generator.integers(len(colours)))])
        placer.put(container, s_m + draw(1, 3), block.side * (d_m - 0.9), turn_rad=draw(0, 6))


def garden_border(placer: Placer, block: Block, kind: int, s0_m: float, s1_m: float, tone: float) -> None:
    """Stand a fence (0), hedge (1), wall (2) or railing (3) along the back of the pavement, in pieces."""
    d = block.side * placer.line_m(0.35)
    step = _BORDER_STEP_M
    for at in np.arange(s0_m, s1_m - step + 0.01, step):
        if not placer.free(at, at + step, d - 0.2, d + 0.2):
            continue
        if kind == 0:
            placer.put(furniture.picket_fence(step, (tone, tone * 0.93, tone * 0.82)), at, d)
        elif kind == 1:
            placer.put(vegetation.build_hedge(placer.generator, step, 1.15), at + step / 2, d + block.side * 0.2)
        elif kind == 2:
            placer.put(furniture.garden_wall(step, 0.85, (0.32, 0.15, 0.10)), at, d)
        else:
            placer.put(furniture.rail_fence(step), at, d)


def _town(placer: Placer, block: Block) -> None:
    generator = placer.generator
    s = block.s0_m + 0.5
    d = placer.line_m(0.05)
    while s < block.s1_m:
        flats = buildings.block_of_flats(generator, in_row=True)
        if s + flats.width_m > block.s1_m:
            break
        if generator.random() < 0.92:
            placer.try_building(flats, s, d, block)
        s += flats.width_m + (0.02 if generator.random() < 0.85 else generator.uniform(3, 7))
    _second_row(placer, block, 34.0)
    placer.scatter_trees(block, 26, 60, per_m=0.06)


def _second_row(placer: Placer, block: Block, d_m: float) -> None:
    """Stand buildings behind the first row, seen through its gaps and along side streets."""
    s = block.s0_m + placer.generator.uniform(0, 12)
    while s < block.s1_m:
        flats = buildings.block_of_flats(placer.generator, in_row=False)
        placer.try_building(flats, s, d_m + placer.generator.uniform(0, 8), block)
        s += flats.width_m + placer.generator.uniform(6, 22)


def _estate(placer: Placer, block: Block) -> None:
    generator = placer.generator
    s = block.s0_m + generator.uniform(0, 8)
    while s < block.s1_m:
        flats = buildings.block_of_flats(generator, in_row=False)
        placer.try_building(flats, s, placer.line_m(generator.uniform(6, 22)), block)
        s += flats.width_m + generator.uniform(8, 24)
    if generator.random() < 0.5:
        garden_border(placer, block, int(generator.choice([1, 3])), block.s0_m + 4, block.s1_m - 4, 0.4)
    placer.scatter_trees(block, placer.line_m(2), 55, per_m=0.16)


def _commercial(placer: Placer, block: Block) -> None:
    generator = placer.generator
    s = block.s0_m + generator.uniform(0, 10)
    while s < block.s1_m:
        hall = buildings.hall(generator)
        if placer.try_building(hall, s, placer.line_m(generator.uniform(14, 22)), block):
            first = np.ceil(s / _BAY_M) * _BAY_M + _BAY_M / 2
            for at in np.arange(first, s + hall.width_m - 2, _BAY_M):
                if generator.random() < 0.45:
                    turn = np.pi / 2 * generator.choice([-1, 1])
                    placer.park(at, block.side * placer.line_m(8.5), turn, KERB_M)
        s += hall.width_m + generator.uniform(6, 20)
    placer.scatter_trees(block, 45, 66, per_m=0.08)


def _park(placer: Placer, block: Block) -> None:
    generator = placer.generator
    for s in np.arange(block.s0_m + 6, block.s1_m - 6, 24.0):
        if generator.random() < 0.6:
            placer.put(furniture.bench(), s, block.side * placer.line_m(0.6), turn_rad=block.facing_rad)
    for _ in range(int((block.s1_m - block.s0_m) * 0.05)):
        d = block.side * placer.line_m(generator.uniform(2, 16))
        placer.put(vegetation.build_bush(generator, rich=True), generator.uniform(block.s0_m, block.s1_m), d)
    placer.scatter_trees(block, placer.line_m(1.5), 64, per_m=0.26)


def _country(placer: Placer, block: Block) -> None:
    if placer.generator.random() < 0.5:
        post = furniture.pole(1.2, 0.06, (0.20, 0.15, 0.10))
        for s in np.arange(block.s0_m, block.s1_m, 3.0):
            placer.put(post, s, block.side * placer.line_m(1.5))
    placer.scatter_trees(block, placer.line_m(2), 66, per_m=0.10)
