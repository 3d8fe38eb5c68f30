"""What moves: vehicles, cyclists and pedestrians along the road, each a function of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic import people
from surround_depth.data.synthetic.drive_types import RenderedBox
from surround_depth.data.synthetic.ego import EgoMotion
from surround_depth.data.synthetic.mesh import Mesh, pose
from surround_depth.data.synthetic.road import KERB_M, Road
from surround_depth.data.synthetic.vehicles import build_vehicle, draw_paint
from surround_depth.geometry import Array

_MOVING = ("sedan", "hatch", "estate", "suv", "van", "minibus", "bus", "truck")
_MOVING_SHARE = (0.2, 0.22, 0.13, 0.16, 0.08, 0.07, 0.06, 0.08)
_DELTA_S = 0.02


@dataclass(frozen=True)
class Actor:
    """One mover. It drives at speed_mps along +s (or -s when negative); `follow` keeps its gap to the ego instead."""

    name: str
    category: str
    meshes: tuple[Mesh, ...]  # one stride or crank turn, in equal steps; a vehicle has one
    size_lwh_m: tuple[float, float, float]
    road: Road
    s0_m: float
    d_m: float
    speed_mps: float
    stride_m: float
    backwards: bool  # faces -s
    follow: EgoMotion | None = None
    on_pavement: bool = False

    @property
    def footprint_m(self) -> tuple[float, float]:
        """Length and width of what darkens the ground below: a body nearly as wide as its box, or two feet."""
        length, width, _ = self.size_lwh_m
        return (length * 0.97, width * (0.97 if length > 2.0 else 0.4))

    def s_at(self, time_s: float) -> float:
        """Return the arc length at a time."""
        if self.follow is not None:
            return self.s0_m + self.follow.s_at(time_s)
        return self.s0_m + self.speed_mps * time_s

    def T_world_actor(self, time_s: float) -> Array:
        """Return the pose [4, 4] of the actor's ground origin."""
        s = self.s_at(time_s)
        x, y = self.road.to_world(s, self.d_m)
        z = 0.0
        if self.on_pavement:
            gaps = [abs(s - at) - half for at, half in self.road.crossings]
            z = KERB_M if not gaps else KERB_M * float(np.clip(min(gaps) / 0.3, 0, 1))
        return pose(x, y, z, float(self.road.heading_at(s)) + (np.pi if self.backwards else 0.0))

    def mesh_at(self, time_s: float) -> Mesh:
        """Return the mesh of the moment, in the actor's frame."""
        if len(self.meshes) == 1:
            return self.meshes[0]
        phase = (self.s_at(time_s) - self.s0_m) / self.stride_m
        return self.meshes[int(np.floor(phase * len(self.meshes))) % len(self.meshes)]

    def box_at(self, time_s: float) -> RenderedBox:
        """Return the annotation at a time; the velocity is the central difference of the pose."""
        T = self.T_world_actor(time_s)
        ahead, behind = self.T_world_actor(time_s + _DELTA_S), self.T_world_actor(time_s - _DELTA_S)
        velocity = (ahead[:3, 3] - behind[:3, 3]) / (2 * _DELTA_S)
        centred = T.copy()
        centred[2, 3] += self.size_lwh_m[2] / 2
        return RenderedBox(
            self.name, self.category, centred, self.size_lwh_m, (float(velocity[0]), float(velocity[1]), 0.0)
        )


def build_traffic(
    generator: np.random.Generator, road: Road, ego: EgoMotion, duration_s: float, *, busy: float
) -> tuple[Actor, ...]:
    """Return everybody who moves; busy in [0, 1] scales their number."""
    actors = [
        *_own_direction(generator, road, ego, busy),
        *_oncoming(generator, road, ego, duration_s, busy),
        *_cyclists(generator, road, ego, duration_s, busy),
        *_pedestrians(generator, road, ego, duration_s, busy),
    ]
    return tuple(actors)


def _vehicle(
    generator: np.random.Generator,
    name: str,
    road: Road,
    s: float,
    d: float,
    speed: float,
    *,
    backwards: bool = False,
    follow: EgoMotion | None = None,
) -> Actor:
    vehicle = build_vehicle(str(generator.choice(_MOVING, p=_MOVING_SHARE)), draw_paint(generator))
    size = (vehicle.length_m, vehicle.width_m, vehicle.height_m)
    return Actor(name, vehicle.kind, (vehicle.mesh,), size, road, s, d, speed, 1.0, backwards, follow)


def _own_direction(generator: np.random.Generator, road: Road, ego: EgoMotion, busy: float) -> list[Actor]:
    """Vehicles that keep their gap to the ego, in its lane and the ones beside it."""
    actors: list[Actor] = []
    for lane in range(road.lanes_per_side):
        d = -(lane + 0.5) * road.lane_m
        own = abs(d - ego.d_m) < 0.5
        for direction in (1, -1):
            gap = generator.uniform(15, 40) if own else generator.uniform(7.5, 30)
            while gap < 100:
                if generator.random() < 0.25 + 0.6 * busy:
                    s = direction * gap + 1.5
                    actors.append(
                        _vehicle(generator, f"own-{lane}-{direction}-{len(actors)}", road, s, d, 0.0, follow=ego)
                    )
                gap += generator.uniform(16, 45)
    return actors


def _oncoming(
    generator: np.random.Generator, road: Road, ego: EgoMotion, duration_s: float, busy: float
) -> list[Actor]:
    actors: list[Actor] = []
    speed = generator.uniform(0.7, 1.2) * max(ego.speed_mps, 5.0)
    for lane in range(road.lanes_per_side):
        s = generator.uniform(-60, -20)
        while s < ego.s_at(duration_s) + speed * duration_s + 90:
            if generator.random() < 0.25 + 0.6 * busy:
                d = (lane + 0.5) * road.lane_m
                actors.append(_vehicle(generator, f"oncoming-{lane}-{len(actors)}", road, s, d, -speed, backwards=True))
            s += generator.uniform(18, 60)
    return actors


def _cyclists(
    generator: np.random.Generator, road: Road, ego: EgoMotion, duration_s: float, busy: float
) -> list[Actor]:
    actors: list[Actor] = []
    for i in range(int(generator.integers(0, 2 + round(4 * busy)))):
        side = -1 if generator.random() < 0.6 else 1
        s = generator.uniform(-15, ego.s_at(duration_s) + 40)
        speed = -side * generator.uniform(3.5, 5.5)
        person, colour = people.draw_person(generator), people.draw_bike_colour(generator)
        meshes = tuple(people.cycling(person, k, colour) for k in range(people.PHASES))
        d = side * (road.half_width_m - road.parking_m - 0.45)
        actors.append(
            Actor(f"cyclist-{i}", "vehicle.bicycle", meshes, (1.75, 0.6, 1.75), road, s, d, speed, 5.0, side > 0)
        )
    return actors


def _pedestrians(
    generator: np.random.Generator, road: Road, ego: EgoMotion, duration_s: float, busy: float
) -> list[Actor]:
    actors: list[Actor] = []
    for i in range(int(generator.integers(2, 7 + round(22 * busy)))):
        side = int(generator.choice([-1, 1]))
        s = generator.uniform(-25, ego.s_at(duration_s) + 50)
        d = side * (road.half_width_m + generator.uniform(1.3, max(road.pavement_m - 0.3, 1.4)))
        stands = generator.random() < 0.15
        for companion in range(2 if generator.random() < 0.25 else 1):
            person = people.draw_person(generator)
            speed = 0.0 if stands else generator.uniform(1.1, 1.6) * (1 if i % 2 else -1)
            meshes = (
                (people.standing(person),) if stands else tuple(people.walking(person, k) for k in range(people.PHASES))
            )
            k = person.height_m
            category = "human.pedestrian.child" if k < 1.45 else "human.pedestrian.adult"
            size = (0.7, 0.65, k * 1.01)
            beside = d + companion * side * 0.75
            actors.append(
                Actor(
                    f"pedestrian-{i}-{companion}",
                    category,
                    meshes,
                    size,
                    road,
                    s,
                    beside,
                    speed,
                    0.85 * k,
                    speed < 0,
                    on_pavement=True,
                )
            )
    return actors
