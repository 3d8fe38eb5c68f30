"""Side profiles of vehicle bodies: what `vehicles` lofts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A body: stations (share of the length from the rear, roofline height m, what spans to the next station).

    Spans: body, screen (glass on the slope), cabin (glass sides), pillar (painted sides), blank (no glass).
    """

    kind: str  # nuScenes class
    length_m: float
    width_m: float
    sill_m: float
    belt_m: float
    shoulder: float  # half width of the roof / half width of the body
    wheel_m: float  # radius
    axles: tuple[float, ...]  # share of the length from the rear
    stations: tuple[tuple[float, float, str], ...]
    nose_m: float  # height of the nose at the front end
    tail_m: float

    @property
    def height_m(self) -> float:
        return max(z for _, z, _ in self.stations)


PROFILES: dict[str, Profile] = {
    "sedan": Profile(
        "vehicle.car",
        4.65,
        1.82,
        0.24,
        0.92,
        0.76,
        0.33,
        (0.20, 0.80),
        (
            (0.0, 0.88, "body"),
            (0.03, 0.98, "body"),
            (0.19, 1.02, "screen"),
            (0.33, 1.42, "cabin"),
            (0.475, 1.46, "pillar"),
            (0.495, 1.46, "cabin"),
            (0.60, 1.42, "screen"),
            (0.755, 0.97, "body"),
            (0.94, 0.82, "body"),
            (1.0, 0.66, "body"),
        ),
        0.66,
        0.80,
    ),
    "hatch": Profile(
        "vehicle.car",
        4.05,
        1.76,
        0.24,
        0.93,
        0.78,
        0.31,
        (0.17, 0.81),
        (
            (0.0, 0.92, "body"),
            (0.02, 1.00, "screen"),
            (0.12, 1.43, "blank"),
            (0.19, 1.47, "cabin"),
            (0.43, 1.50, "pillar"),
            (0.455, 1.50, "cabin"),
            (0.62, 1.45, "screen"),
            (0.78, 0.99, "body"),
            (0.95, 0.84, "body"),
            (1.0, 0.68, "body"),
        ),
        0.68,
        0.86,
    ),
    "estate": Profile(
        "vehicle.car",
        4.7,
        1.82,
        0.24,
        0.93,
        0.78,
        0.33,
        (0.20, 0.80),
        (
            (0.0, 0.92, "body"),
            (0.015, 1.00, "screen"),
            (0.09, 1.42, "cabin"),
            (0.25, 1.46, "pillar"),
            (0.27, 1.46, "cabin"),
            (0.47, 1.48, "pillar"),
            (0.49, 1.48, "cabin"),
            (0.61, 1.43, "screen"),
            (0.755, 0.98, "body"),
            (0.94, 0.83, "body"),
            (1.0, 0.67, "body"),
        ),
        0.67,
        0.84,
    ),
    "suv": Profile(
        "vehicle.car",
        4.6,
        1.92,
        0.32,
        1.10,
        0.80,
        0.37,
        (0.18, 0.80),
        (
            (0.0, 1.06, "body"),
            (0.02, 1.16, "screen"),
            (0.09, 1.62, "blank"),
            (0.15, 1.68, "cabin"),
            (0.42, 1.72, "pillar"),
            (0.445, 1.72, "cabin"),
            (0.61, 1.66, "screen"),
            (0.75, 1.17, "body"),
            (0.95, 1.04, "body"),
            (1.0, 0.84, "body"),
        ),
        0.84,
        0.98,
    ),
    "van": Profile(
        "vehicle.car",
        5.3,
        2.0,
        0.30,
        1.18,
        0.88,
        0.35,
        (0.19, 0.82),
        (
            (0.0, 1.92, "blank"),
            (0.01, 1.98, "blank"),
            (0.60, 2.02, "pillar"),
            (0.62, 2.02, "cabin"),
            (0.76, 1.96, "screen"),
            (0.90, 1.20, "body"),
            (0.98, 1.02, "body"),
            (1.0, 0.86, "body"),
        ),
        0.86,
        1.7,
    ),
    "minibus": Profile(
        "vehicle.car",
        4.9,
        1.95,
        0.30,
        1.12,
        0.86,
        0.34,
        (0.18, 0.82),
        (
            (0.0, 1.10, "body"),
            (0.01, 1.20, "screen"),
            (0.045, 1.84, "blank"),
            (0.08, 1.90, "cabin"),
            (0.31, 1.93, "pillar"),
            (0.33, 1.93, "cabin"),
            (0.56, 1.93, "pillar"),
            (0.58, 1.93, "cabin"),
            (0.72, 1.88, "screen"),
            (0.885, 1.14, "body"),
            (0.98, 0.98, "body"),
            (1.0, 0.82, "body"),
        ),
        0.82,
        1.02,
    ),
    "bus": Profile(
        "vehicle.bus.rigid",
        11.8,
        2.55,
        0.34,
        1.32,
        0.97,
        0.48,
        (0.24, 0.78),
        (
            (0.0, 2.92, "blank"),
            (0.006, 3.0, "blank"),
            (0.03, 3.02, "cabin"),
            (0.15, 3.05, "pillar"),
            (0.158, 3.05, "cabin"),
            (0.29, 3.05, "pillar"),
            (0.298, 3.05, "cabin"),
            (0.43, 3.05, "pillar"),
            (0.438, 3.05, "cabin"),
            (0.57, 3.05, "pillar"),
            (0.578, 3.05, "cabin"),
            (0.71, 3.05, "pillar"),
            (0.718, 3.05, "cabin"),
            (0.85, 3.05, "pillar"),
            (0.858, 3.05, "cabin"),
            (0.965, 3.02, "screen"),
            (0.992, 1.35, "body"),
            (1.0, 1.2, "body"),
        ),
        1.1,
        2.8,
    ),
    "cab": Profile(
        "vehicle.truck",
        2.2,
        2.45,
        0.45,
        1.55,
        0.92,
        0.48,
        (0.45,),
        (
            (0.0, 2.62, "blank"),
            (0.1, 2.74, "blank"),
            (0.30, 2.76, "cabin"),
            (0.80, 2.68, "screen"),
            (0.97, 1.55, "body"),
            (1.0, 1.35, "body"),
        ),
        1.3,
        2.5,
    ),
}
