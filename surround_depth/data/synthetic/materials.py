"""Material numbers shared by the mesh builders and the shading kernels (plain ints: numba reads them as constants)."""

from __future__ import annotations

ROAD = 0  # uv = (s, d) of the road frame; lane markings, crossings and wear come from there
BLOCK = 1  # uv = (s, d); kerb stone, pavement and lot; params = (lot kind, pavement width, -, -)
TERRAIN = 2  # uv = world xy; distant fields
FACADE = 3  # uv = metres along and up the wall; params = (bay width, floor height, style, random)
ROOF = 4  # uv = metres; tiles
PAINT = 5  # car paint: coloured, with a clear coat that mirrors the sky
GLASS = 6  # dark, mirrors the sky
MATTE = 7  # cloth, rubber, plastic, skin
METAL = 8  # poles and rails
LEAVES = 9
BARK = 10
LAMP = 11  # emits its colour
BRICK = 12  # uv = metres; garden walls
WOOD = 13  # uv = metres; fences
CONCRETE = 14  # uv = metres; kerb faces, plinths, flat roofs
LAMP_AT_NIGHT = 15  # street lamps and head lamps: emit where the lighting says they are on

LOT_GRASS = 0.0
LOT_PAVED = 1.0
LOT_ASPHALT = 3.0
LOT_MEADOW = 4.0
