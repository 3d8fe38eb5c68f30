"""The trust of a teacher that sees pairs, from its label to the losses' targets: flipped, padded, batched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from surround_depth.data.sample import PartnerViews, Sample
from surround_depth.imaging import Framing, InputSpec
from surround_depth.models.config import BinConfig
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel
from surround_depth.training.dataset import collate
from surround_depth.training.label_id import label_id
from surround_depth.training.prepared import mirror, pad_cameras
from surround_depth.training.samples import SamplePreparer
from surround_depth.training.targets import make_targets

SPEC = InputSpec(height_px=64, width_px=96)
BASELINE_M = np.array([np.nan, 0.3, np.nan])


class SeesRed:
    """Trusts a picture as far as its partner is red, and remembers what it was given."""

    name, licence, fingerprint, metric = "sees red", "none", "0" * 64, True

    def __init__(self) -> None:
        self.given: list[TeacherInput] = []

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        self.given.append(sample)
        assert sample.second_images is not None
        red = sample.second_images[..., 0] / np.float32(255.0)
        valid = np.ones(red.shape, bool)
        return TeacherLabel(0.1 + red, valid, ~valid, trust=red.astype(np.float16))


@pytest.fixture
def paired(fake_sequence) -> Sample:  # type: ignore[no-untyped-def]
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = np.arange(96)
    return replace(fake_sequence[0], partners=PartnerViews((None, red, None), BASELINE_M))


def test_the_teacher_is_given_the_partners_framed_like_the_pictures(paired: Sample) -> None:
    teacher = SeesRed()
    preparer = SamplePreparer(SPEC, teacher)
    preparer.prepare(paired)
    preparer.prepare(paired, Framing(mirrored=True))
    plain, mirrored = teacher.given
    assert plain.second_images is not None
    assert plain.baseline_m is not None
    assert mirrored.second_images is not None
    assert mirrored.baseline_m is not None
    assert plain.second_images[1, 0, :, 0].tolist() == list(range(96))
    assert (plain.second_images[[0, 2]] == 0).all()
    np.testing.assert_array_equal(plain.baseline_m, BASELINE_M.astype(np.float32))
    np.testing.assert_array_equal(mirrored.second_images, plain.second_images[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.baseline_m, -plain.baseline_m)
    without = SamplePreparer(SPEC, None).teacher_input(replace(paired, partners=None))
    assert without.second_images is None
    assert without.baseline_m is None


def test_trust_goes_where_the_label_goes(paired: Sample) -> None:
    sample = SamplePreparer(SPEC, SeesRed()).prepare(paired)
    expected = (np.arange(96, dtype=np.float32) / 255.0).astype(np.float16)
    assert sample.trust is not None
    assert (sample.trust[1] == expected).all()
    flipped, padded = mirror(sample), pad_cameras(sample, 5)
    assert flipped.trust is not None
    assert padded.trust is not None
    assert (flipped.trust[1] == expected[::-1]).all()
    assert padded.trust.shape == (5, 64, 96)
    assert (padded.trust[3:] == 0).all()
    targets = make_targets(collate([sample, flipped]), BinConfig())
    assert targets.trust is not None
    np.testing.assert_array_equal(targets.trust.numpy(), np.stack([sample.trust, flipped.trust]))
    assert collate([sample, flipped]).to(torch.device("cpu")).trust is not None


def test_a_label_of_pairs_is_kept_under_its_partners_too(paired: Sample) -> None:
    assert paired.partners is not None
    _, red, _ = paired.partners.images
    assert isinstance(red, np.ndarray)
    other = replace(paired.partners, images=(None, red + np.uint8(1), None))
    farther = replace(paired.partners, baseline_m=2 * BASELINE_M)
    variants = [paired, *(replace(paired, partners=one) for one in (other, farther, None))]
    assert len({label_id(one, SPEC) for one in variants}) == 4
