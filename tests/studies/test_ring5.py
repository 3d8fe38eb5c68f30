"""The rig that nothing trains on: five cameras, a closed ring, views and heights of all sizes."""

from __future__ import annotations

import numpy as np

from surround_depth.rig import load_rig


def test_the_ring_of_five_is_closed() -> None:
    rig = load_rig("ring5")
    assert [rig.names[i] for i in rig.ring_order()] == ["LEFT", "FRONT", "RIGHT", "REAR_RIGHT", "REAR_LEFT"]
    assert len(rig.adjacent_pairs()) == 5
    yaws_deg = [np.degrees(rig.cameras[i].yaw_rad) for i in rig.ring_order()]
    np.testing.assert_allclose(yaws_deg, [72, 0, -72, -144, 144], atol=1e-6)
    # 2 atan(w / 2 f)
    views_deg = [np.degrees(2 * np.arctan(c.width_px / 2 / c.focal_px)) for c in rig.cameras]
    np.testing.assert_allclose(views_deg, [100, 60, 90, 80, 70], atol=0.1)
    heights_m = rig.T_ego_cam[:, 2, 3]
    assert (heights_m.min(), heights_m.max()) == (1.2, 2.1)
