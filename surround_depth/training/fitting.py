"""Which losses, teacher and student do not go together: said before anything is read."""

from __future__ import annotations

from surround_depth.errors import ConfigError
from surround_depth.losses.bin_distillation import Centers
from surround_depth.losses.build import terms_of_teacher, terms_on_bins, terms_on_features, weights_of
from surround_depth.losses.config import LossConfig
from surround_depth.models.config import Head
from surround_depth.teachers.build import TeacherConfig


def require_fitting(loss: LossConfig, teacher: TeacherConfig, head: Head, centers: Centers) -> None:
    """Check that the parts of a run fit each other.

    Args:
        head, centers: of the student.

    Raises:
        ValueError: names the keys that do not.
    """
    if not weights_of(loss):
        raise ValueError("every weight in loss is 0: there is nothing to learn")
    _require_bins(loss, head)
    _require_teacher(loss, teacher)
    _require_features(loss, teacher)
    _require_partners(loss, teacher)
    _require_centers(loss, centers)


def _require_bins(loss: LossConfig, head: Head) -> None:
    idle = _keys(terms_on_bins(loss))
    if idle and head == "regression":
        raise ValueError(
            f"{', '.join(idle)} compare bins, but student.head is 'regression'; set the weights to 0, or the head to "
            "'bins'"
        )


def _require_teacher(loss: LossConfig, teacher: TeacherConfig) -> None:
    asked = _keys(terms_of_teacher(loss))
    if asked and teacher.kind == "none":
        raise ValueError(
            f"{', '.join(asked)} compare with a teacher, but teacher.kind is 'none'; set the weights to 0, or choose a "
            "teacher"
        )


def _require_features(loss: LossConfig, teacher: TeacherConfig) -> None:
    asked = _keys(terms_on_features(loss))
    of_model = teacher.kind == "depth_anything"
    has_features = teacher.kind in ("student", "stereo") or (of_model and teacher.depth_anything.features)
    if asked and not has_features:
        advice = "set teacher.depth_anything.features" if of_model else "choose teacher.kind student"
        raise ValueError(
            f"{', '.join(asked)} compare features, and teacher.kind {teacher.kind!r} brings none; set the weights to "
            f"0, or {advice}"
        )


def _require_partners(loss: LossConfig, teacher: TeacherConfig) -> None:
    """A stereo teacher has features of cameras with a partner only; these terms look at all cameras that live."""
    everywhere = ("fitnets", "feature", "rkd", "relation")
    asked = _keys([name for name in terms_on_features(loss) if name in everywhere])
    if asked and teacher.kind == "stereo":
        raise ValueError(
            f"{', '.join(asked)} compare the features of all cameras, and a stereo teacher has none where a camera "
            "has no partner; set the weights to 0 (loss.privileged.attention knows where it has some)"
        )


def _require_centers(loss: LossConfig, centers: Centers) -> None:
    idle = _keys([name for name in ("chamfer", "x1") if name in weights_of(loss)])
    if idle and centers == "fixed":
        raise ValueError(
            f"{' and '.join(idle)} move the bin centers, but student.bins.centers is 'fixed'; set the weight to 0, or "
            "the centers to 'sample' or 'image'"
        )
    try:
        loss.require_centers(centers)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _keys(terms: list[str]) -> list[str]:
    return [f"loss.{name}" for name in terms]
