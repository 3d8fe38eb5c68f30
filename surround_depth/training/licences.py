"""Under which licence a student may be used: everything it was made of binds it, the strictest most."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from surround_depth.teachers.teacher import AS_LINEAGE

# From the mildest to the strictest. What nobody states may be anything, so it is stricter than all.
_TERMS = ("attribution", "share alike", "non-commercial", "no derivatives", "unknown")
_CREATIVE_COMMONS = re.compile(r"\bCC[ -]BY((?:[ -](?:NC|SA|ND))*)(?:[ -](\d\.\d))?", re.IGNORECASE)
_CREATIVE_TERMS = {"SA": "share alike", "NC": "non-commercial", "ND": "no derivatives"}
_PERMISSIVE = re.compile(r"\b(Apache-2\.0|MIT|BSD(?:-[23]-Clause)?)\b")
_HUB = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause"}
"""As model hubs write them: the whole text, in small letters. In a longer one such a word may be of a model's name."""
_FREE = re.compile(r"^none(?: \(.*\))?$|no rights reserved|\bCC0\b|public domain", re.IGNORECASE)
_NON_COMMERCIAL = re.compile(r"\bnon-?commercial\b", re.IGNORECASE)


@dataclass(frozen=True)
class EffectiveLicence:
    """What binds the weights. It is read from what the sources say of themselves, and is no legal advice."""

    name: str
    """The strictest licence of the lineage; "none" where nothing binds."""
    terms: tuple[str, ...]
    """What all sources together ask for, mildest first."""
    because_of: tuple[str, ...]
    """The sources under the strictest licence."""

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def effective_licence(lineage: Iterable[Mapping[str, str]]) -> EffectiveLicence:
    """Return the most restrictive licence of a lineage of {"kind", "name", "licence"} entries."""
    found = [
        (_rank(terms), name, f"{entry['kind']} {entry['name']}", terms)
        for entry in lineage
        if entry["licence"] != AS_LINEAGE
        for name, terms in (_read(entry["licence"]),)
    ]
    strictest = max((rank for rank, *_ in found), default=())
    if not strictest:
        return EffectiveLicence("none", (), ())
    asked = {term for _, _, _, terms in found for term in terms}
    names = dict.fromkeys(name for rank, name, _, _ in found if rank == strictest)
    return EffectiveLicence(
        name=" and ".join(names),
        terms=tuple(term for term in _TERMS if term in asked),
        because_of=tuple(source for rank, _, source, _ in found if rank == strictest),
    )


def _rank(terms: frozenset[str]) -> tuple[int, ...]:
    """Return a number per term, the strictest first: tuples of more and stricter terms compare higher."""
    return tuple(sorted((_TERMS.index(term) + 1 for term in terms), reverse=True))


def _read(licence: str) -> tuple[str, frozenset[str]]:
    """Return (name, terms) of a licence as a data set or teacher states it: of several in one text the strictest."""
    found = [_creative_commons(match) for match in _CREATIVE_COMMONS.finditer(licence)]
    licence = _HUB.get(licence, licence)
    found += [(match[1], frozenset(("attribution",))) for match in _PERMISSIVE.finditer(licence)]
    if _NON_COMMERCIAL.search(licence) and not any("non-commercial" in terms for _, terms in found):
        return licence, frozenset(("non-commercial",)).union(*(terms for _, terms in found))
    if found:
        return max(found, key=lambda one: _rank(one[1]))
    if _FREE.search(licence):
        return "none", frozenset()
    return licence, frozenset(("unknown",))


def _creative_commons(match: re.Match[str]) -> tuple[str, frozenset[str]]:
    marks = re.findall("NC|SA|ND", match[1].upper())
    name = "-".join(("CC BY", *marks)) + (f" {match[2]}" if match[2] else "")
    return name, frozenset(("attribution", *(_CREATIVE_TERMS[mark] for mark in marks)))
