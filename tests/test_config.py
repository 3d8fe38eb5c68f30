"""Mistakes in configs are named with their key, and the nearest right key is offered."""

import pytest
from pydantic import Field

from surround_depth.config import StrictModel, dump_config, load_config
from surround_depth.errors import ConfigError


class Optim(StrictModel):
    lr: float = 1e-3
    steps: int = 10


class Train(StrictModel):
    seed: int = 0
    sizes: tuple[int, ...] = ()
    optim: Optim = Field(default_factory=Optim)


def write(tmp_path, text):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return path


def test_values_and_overrides(tmp_path):
    path = write(tmp_path, "seed: 3\nsizes: [1, 2]\n")
    config = load_config(Train, path, ["optim.lr=0.5", "optim.steps=7", "sizes=[4]"])
    assert (config.seed, config.optim.lr, config.optim.steps, config.sizes) == (3, 0.5, 7, (4,))
    assert load_config(Train, path, ["sizes.1=8"]).sizes == (1, 8)


@pytest.mark.parametrize("value", [5e-05, 1e-4, 2e20])
def test_a_number_as_python_writes_it_is_a_number(tmp_path, value):
    assert load_config(Train, write(tmp_path, "seed: 1\n"), [f"optim.lr={value}"]).optim.lr == value


def test_the_hint_is_something_yaml_reads(tmp_path):
    with pytest.raises(ConfigError, match=r"write 5\.0e-05"):
        load_config(Train, write(tmp_path, "optim: {lr: 5e-5}\n"))


def test_dump_reads_back_equal(tmp_path):
    config = Train(seed=4, sizes=(1, 2), optim=Optim(lr=0.25))
    assert load_config(Train, write(tmp_path, dump_config(config))) == config


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("sed: 3\n", [], r"unknown key 'sed' \(did you mean 'seed'\?\)"),
        ("optim: {lrr: 0.1}\n", [], r"unknown key 'optim.lrr' \(did you mean 'lr'\?\)"),
        ("seed: 1.5\n", [], "seed: .*integer"),
        ("seed: '3'\n", [], "seed: .*write 3.0"),
        ("optim: {lr: 3e-4}\n", [], r"optim.lr: .*'3e-4' \(YAML reads this as text; write 0.0003\)"),
        ("seed: 1\n", ["sizes=7"], r"sizes: expected a list, got 7; write sizes=\[7\], or \[\] for none"),
        ("seed: 1\n", ["sizes=null"], r"sizes: expected a list, got None; write sizes=\[A, B\], or \[\] for none"),
        ("optim: {lr: .nan}\n", [], "optim.lr"),
        ("seed: 3\nseed: 4\n", [], "appears twice"),
        ("- 1\n", [], "expected a mapping"),
        ("seed: &a 1\noptim: *a\n", [], "aliases"),
        ("seed: 1\n", ["seed"], "key=value"),
        ("seed: 1\n", ["seed.x=1"], "not a group"),
        ("seed: 1\n", ["optim.lr=[1"], "not valid YAML"),
        ("sizes: [1, 2]\n", ["sizes.2=3"], r"sizes\.2=3.*no place in a list of 2"),
        ("sizes: [1, 2]\n", ["sizes.one=3"], "'one' is no place in a list of 2"),
    ],
)
def test_mistakes_are_named(tmp_path, text, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Train, write(tmp_path, text), overrides)


def test_missing_files_and_names(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(Train, tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"shipped: .*synthetic_demo"):
        load_config(Train, "syntetic_demo")
