"""The vehicle that carries the rig: its motion along the road and its own body, as far as its cameras see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surround_depth.data.synthetic.mesh import Mesh, Rgb
from surround_depth.data.synthetic.road import Road
from surround_depth.data.synthetic.vehicle_profiles import Profile
from surround_depth.data.synthetic.vehicles import body
from surround_depth.geometry import Array
from surround_depth.rig import Rig

REAR_OVERHANG_M = 0.75  # the ego origin is on the ground below the rear axle
LENGTH_M = 4.25


@dataclass(frozen=True)
class EgoMotion:
    """A smooth drive: speed with a slow wave, a lane keeper's sway, and the body's pitch, roll and heave."""

    road: Road
    speed_mps: float
    d_m: float  # lateral place of the lane
    wave: tuple[float, float, float, float]  # phases, radians

    def s_at(self, time_s: float) -> float:
        """Return the arc length at a time; the speed swings 12 % around its mean."""
        omega = 0.35
        return float(
            self.speed_mps * (time_s - 0.12 / omega * (np.cos(omega * time_s + self.wave[0]) - np.cos(self.wave[0])))
        )

    def T_world_ego(self, time_s: float) -> Array:
        """Return the ego pose [4, 4] at a time in seconds."""
        s = self.s_at(time_s)
        sway = 0.16 * np.sin(0.05 * s + self.wave[1])
        slope = 0.16 * 0.05 * np.cos(0.05 * s + self.wave[1])
        x, y = self.road.to_world(s, self.d_m + sway)
        yaw = float(self.road.heading_at(s)) + slope
        moving = min(self.speed_mps / 5.0, 1.0)
        pitch = moving * np.radians(0.35) * np.sin(0.83 * s * 0.2 + self.wave[2])
        roll = moving * np.radians(0.30) * np.sin(0.61 * s * 0.2 + self.wave[3])
        heave = moving * 0.012 * np.sin(0.21 * s + self.wave[2] + 1.0)
        cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        Rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        Ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        Rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        T = np.eye(4)
        T[:3, :3] = Rz @ Ry @ Rx
        T[:3, 3] = x, y, heave
        return T


def ego_body(rig: Rig, paint: Rgb) -> Mesh:
    """Return the own vehicle in the ego frame, kept below every camera of the rig so that none looks out of metal."""
    lowest_m = float(rig.T_ego_cam[:, 2, 3].min())
    roof = min(1.46, lowest_m - 0.14)
    deck = min(1.27, roof - 0.07)
    hood = min(0.92, roof - 0.2)
    stations = (
        (0.0, deck - 0.10, "body"),
        (0.02, deck, "screen"),
        (0.17, roof - 0.02, "cabin"),
        (0.45, roof, "pillar"),
        (0.47, roof, "cabin"),
        (0.58, roof - 0.02, "screen"),
        (0.74, hood, "body"),
        (0.93, hood - 0.12, "body"),
        (1.0, 0.62, "body"),
    )
    profile = Profile(
        kind="vehicle.car",
        length_m=LENGTH_M,
        width_m=1.76,
        sill_m=0.26,
        belt_m=min(0.95, roof - 0.15),
        shoulder=0.74,
        wheel_m=0.32,
        axles=(0.18, 0.80),
        stations=stations,
        nose_m=0.62,
        tail_m=deck - 0.12,
    )
    shift = np.eye(4)
    shift[0, 3] = LENGTH_M / 2 - REAR_OVERHANG_M
    return body(profile, paint).moved(shift)
