"""Strict configuration: YAML and `key=value` overrides in, one frozen typed tree out, every mistake named."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from surround_depth.errors import ConfigError, DataError

MAX_CONFIG_BYTES = 1_000_000


class StrictModel(BaseModel):
    """A frozen config node: unknown keys and silently converted types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, as plain Python values.

    Raises:
        ConfigError: missing, too large, not UTF-8, not YAML, or holding aliases (a small file can unfold to gigabytes).
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes; a config is at most {MAX_CONFIG_BYTES}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError(f"{path}: YAML aliases (*name) are not supported; write the value out")
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def load_config(model: type[Model], source: str | Path, overrides: Iterable[str] = ()) -> Model:
    """Return the validated config `source` with `overrides` ("a.b=value", "a.0.b=value" inside a list) applied.

    Args:
        model: the root node's type.
        source: a YAML file, or the name of one that ships in `surround_depth/configs`.

    Raises:
        ConfigError: names the dotted key, what was expected, and the nearest known key or config name.
    """
    path = _config_path(source)
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, got {type(tree).__name__}")
    for override in overrides:
        _apply_override(tree, override)
    return parse_config(model, tree, str(source))


def parse_config(model: type[Model], tree: Mapping[str, Any], origin: str) -> Model:
    """Return `tree` as a validated `model`; `origin` (a file or name) leads every message. Lists count as tuples."""
    try:
        return model.model_validate(_tuples(tree))
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(model, origin, item) for item in error.errors())) from error


def read_json(path: Path, absent: str) -> Any:
    """Return what a JSON file of ours holds.

    Args:
        absent: what to say where there is none.

    Raises:
        DataError: there is none, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(absent) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error


def parse_stored(model: type[Model], tree: Mapping[str, Any], path: Path) -> Model:
    """Return `tree`, which was read from `path`, as a validated `model`: as `parse_config`, of a file that we wrote.

    Raises:
        DataError: it does not fit.
    """
    try:
        return parse_config(model, tree, str(path))
    except ConfigError as error:
        raise DataError(str(error)) from error


def dump_config(config: BaseModel) -> str:
    """Return the config as YAML text that `load_config` reads back equal."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, where YAML silently keeps the last."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        try:
            repeated = key in seen
            seen.add(key)
        except TypeError as error:
            raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark) from error
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", key_node.start_mark)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _config_path(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return path
    shipped = {Path(str(p)).stem: Path(str(p)) for p in _shipped_configs()}
    if str(source) not in shipped:
        raise ConfigError(
            f"no config named {str(source)!r}{_nearest(str(source), shipped)}; shipped: {', '.join(sorted(shipped))}"
        )
    return shipped[str(source)]


def _shipped_configs() -> list[Path]:
    root = Path(str(resources.files("surround_depth"))) / "configs"
    return sorted(root.glob("*/*.yaml"))


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"override {override!r}: write it as key=value, for example optim.lr=0.001")
    *parents, leaf = key.strip().split(".")
    node: Any = tree
    for parent in parents:
        place = _place(node, parent, override)
        if isinstance(node, dict) and node.get(place) is None:
            node[place] = {}
        node = node[place]
        if not isinstance(node, dict | list):
            raise ConfigError(f"override {override!r}: {parent!r} is a value, not a group of keys")
    place = _place(node, leaf, override)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: the value is not valid YAML") from error
    # YAML 1.1 reads 1e-4 as text; on a command line it can only be meant as a number.
    node[place] = float(value) if isinstance(value, str) and _is_number(value) else value


def _place(node: dict[str, Any] | list[Any], key: str, override: str) -> Any:
    """Return the key of a group, or the place in a list that `key` numbers from 0."""
    if isinstance(node, dict):
        return key
    if not key.isascii() or not key.isdecimal() or int(key) >= len(node):
        raise ConfigError(f"override {override!r}: {key!r} is no place in a list of {len(node)}, counted from 0")
    return int(key)


def _tuples(value: Any) -> Any:
    """YAML has only lists; frozen configs hold tuples."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(model: type[BaseModel], origin: str, item: Any) -> str:
    dotted = ".".join(str(part) for part in item["loc"])
    if item["type"] == "value_error" and isinstance(item["input"], Mapping):  # keys that do not fit each other
        where = f"{origin}: {dotted}" if dotted else origin
        return f"{where}: {item['ctx']['error']}"
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, item["loc"][:-1])
        return f"{origin}: unknown key {dotted!r}{_nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{origin}: key {dotted!r} is missing"
    if item["type"] == "tuple_type":
        example = "[A, B]" if item["input"] is None else f"[{item['input']}]"
        return f"{origin}: {dotted}: expected a list, got {item['input']!r}; write {dotted}={example}, or [] for none"
    hint = ""
    if isinstance(item["input"], str) and _is_number(item["input"]):
        hint = f" (YAML reads this as text; write {_yaml_number(item['input'])})"
    return f"{origin}: {dotted}: {item['msg']}, got {item['input']!r}{hint}"


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    for part in location:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[part].annotation
    return list(getattr(model, "model_fields", {}))


def _nearest(word: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _yaml_number(text: str) -> str:
    """Return a spelling that YAML 1.1 reads as a number: an exponent needs a point before it."""
    number = repr(float(text))
    return number if "e" not in number or "." in number else number.replace("e", ".0e")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
