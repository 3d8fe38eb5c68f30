"""What a whole run's configuration refuses: terms and heads that do not fit together."""

from __future__ import annotations

import pytest

from surround_depth.config import load_config, parse_config
from surround_depth.errors import ConfigError
from surround_depth.training.config import TrainConfig
from surround_depth.training.label_task import labels_ahead


@pytest.mark.parametrize("term", ["kl", "x1", "chamfer"])
def test_bin_losses_on_a_student_without_bins_are_refused(tiny_config: TrainConfig, term: str) -> None:
    tree = tiny_config.model_dump(mode="json")
    tree["student"]["head"] = "regression"
    tree["loss"] |= {"kl": 0.0, "x1": 0.0, "chamfer": 0.0}
    assert parse_config(TrainConfig, tree, "test").student.head == "regression"
    tree["loss"][term] = 0.1
    with pytest.raises(ConfigError, match=rf"loss\.{term} compare bins.*'regression'"):
        parse_config(TrainConfig, tree, "test")


def test_only_streets_of_our_own_are_rendered(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump(mode="json")
    tree["data"]["joint"] = [{"kind": "nuscenes", "root": "a", "render": True}]
    with pytest.raises(ConfigError, match="render makes synthetic streets, but kind is 'nuscenes'"):
        parse_config(TrainConfig, tree, "test")


def test_linear_bins_do_not_follow_the_focal_length(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump(mode="json")
    tree["student"]["bins"]["space"] = "linear"
    with pytest.raises(ConfigError, match="set canonical_focal to false, or space to 'log'"):
        parse_config(TrainConfig, tree, "test")
    tree["student"]["canonical_focal"] = False
    assert parse_config(TrainConfig, tree, "test").student.resolve().bins.space == "linear"


def test_terms_of_a_teacher_need_one(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump()
    tree["teacher"]["kind"] = "none"
    with pytest.raises(ConfigError, match=r"loss\.kl compare with a teacher, but teacher\.kind is 'none'"):
        parse_config(TrainConfig, tree, "test")
    tree["loss"] |= {"kl": 0.0, "cross_context": {"weight": 0.5}}
    with pytest.raises(ConfigError, match=r"loss\.shared, loss\.local_global, loss\.gradient, loss\.feature compare"):
        parse_config(TrainConfig, tree, "test")
    tree["loss"] |= {"cross_context": {"weight": 0.0}, "x2": 0.5}
    assert parse_config(TrainConfig, tree, "test").loss.x2 == 0.5  # that one compares with LiDAR


def test_a_run_that_would_learn_nothing_is_refused(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump()
    tree["loss"] |= {"silog": 0.0, "kl": 0.0, "sky": 0.0, "confidence": 0.0, "confidence_sky": 0.0}
    with pytest.raises(ConfigError, match=r"^test: every weight in loss is 0: there is nothing to learn$"):
        parse_config(TrainConfig, tree, "test")


@pytest.mark.parametrize(
    ("teacher", "advice"),
    [
        ({"kind": "simulated"}, "choose teacher.kind student"),
        ({"kind": "depth_anything"}, "set teacher.depth_anything.features"),
    ],
)
def test_losses_on_features_need_a_teacher_that_has_some(
    tiny_config: TrainConfig, teacher: dict[str, object], advice: str
) -> None:
    tree = tiny_config.model_dump() | {"teacher": teacher}
    tree["loss"]["relation"] = 0.5
    with pytest.raises(ConfigError, match=rf"^test: loss\.relation compare features.*{advice}$"):
        parse_config(TrainConfig, tree, "test")
    tree["teacher"] = {"kind": "student"}
    assert parse_config(TrainConfig, tree, "test").loss.relation == 0.5


def test_features_of_all_cameras_are_not_asked_of_a_teacher_of_pairs(tiny_config: TrainConfig) -> None:
    tree = tiny_config.model_dump() | {"teacher": {"kind": "stereo"}}
    tree["loss"] |= {"privileged": {"attention": 0.5}}
    assert parse_config(TrainConfig, tree, "test").loss.privileged.attention == 0.5
    tree["loss"]["fitnets"] = 1.0
    with pytest.raises(ConfigError, match=r"loss\.fitnets compare the features of all cameras"):
        parse_config(TrainConfig, tree, "test")


def test_a_learned_teacher_beside_workers_has_labelled_ahead() -> None:
    def ahead(name: str, *changes: str) -> bool:
        return labels_ahead(load_config(TrainConfig, name, changes))

    with pytest.raises(
        ConfigError, match=r"'depth_anything' with data\.n_workers 8: .*cache_teacher\.py.*teacher\.cache"
    ):
        ahead("nuscenes_r18")
    assert ahead("nuscenes_r18", "teacher.cache=labels")
    with pytest.raises(ConfigError, match=r"augment\.zoom and augment\.shift draw pictures that no label is kept of"):
        ahead("nuscenes_r18", "teacher.cache=labels", "augment.zoom=[1.0, 1.2]")
    assert not ahead("nuscenes_r18", "data.n_workers=0", "augment.shift=0.5")
    assert not ahead("synthetic_demo", "data.n_workers=2")
