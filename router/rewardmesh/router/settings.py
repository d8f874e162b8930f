"""mesh.yaml: what a router serves, where it listens and what it refuses."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.rewards.answer import with_tags
from rewardmesh.rewards.registry import discover
from rewardmesh.router.cache.settings import CacheSettings
from rewardmesh.services.engine import RewardSpec

PREFIX = "REWARDMESH_"
NEST = "__"  # a single underscore is part of a field's name
# What Kubernetes tells every container of a service called rewardmesh, or rewardmesh-something: nothing of ours.
_SERVICE_LINK = re.compile(
    r"REWARDMESH(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT(_[A-Z0-9]+)*)=.*"
    r"|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=.*)"
)
KIB, MIB = 2**10, 2**20


class SettingsError(RewardMeshError, ValueError):
    """mesh.yaml or an override of it is wrong; the message is one line that names the field."""


class Address(NamedTuple):
    """A host and a port; port 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads "host:port" or "[v6]:port". Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
            raise ValueError(f"must be host:port, got {text!r}")
        if (":" in host) != (host.startswith("[") and host.endswith("]")):
            raise ValueError(f"an IPv6 address must stand in brackets, and only that, got {text!r}")
        return cls(host.strip("[]"), int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(text: str, info: ValidationInfo) -> str:
    if not (Address.parse(text).loopback or info.data.get("insecure")):
        raise ValueError(f"{text} can be reached by other machines; say `insecure: true` to allow that")
    return text


def _installed(name: str) -> str:
    known = discover()
    if name not in known:
        raise ValueError(f"no reward named {name!r} is installed; installed: {', '.join(known) or 'none'}")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


def _tags(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    with_tags(pairs)
    return pairs


AddressText = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, Field(min_length=1)]
InstalledName = Annotated[str, AfterValidator(_installed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        """`sources:` with nothing behind it, which YAML reads as null, means the default."""
        if fields is None:
            return {}
        if not isinstance(fields, dict):
            return fields
        given = cast(dict[str, Any], fields)
        return {name: value for name, value in given.items() if value is not None or name not in cls.model_fields}


class Limits(_Strict):
    """What is refused as `too_large`. Sizes in bytes."""

    message_bytes: PositiveInt = 16 * MIB
    rollouts: PositiveInt = 1024
    completion_bytes: PositiveInt = 256 * KIB
    reference_bytes: PositiveInt = 64 * KIB
    image_bytes: PositiveInt = 8 * MIB


class Queue(_Strict):
    """What may wait for a reward, or be scored by it, before more is answered `overloaded`."""

    rollouts: PositiveInt = 16384
    bytes: PositiveInt = 256 * MIB


class Rule(_Strict):
    """Prompts in which the regular expression is found belong to the task."""

    pattern: Annotated[str, AfterValidator(_pattern)]
    task: Name


class RewardSettings(_Strict):
    """How one reward is hosted: `options` are its constructor's; `replicas` and `resources` count on Ray Serve only."""

    enabled: bool = True
    options: dict[str, Any] = {}
    sources: dict[Name, dict[str, Any]] = {}
    """Data set -> options for its rollouts, over those above."""
    replicas: PositiveInt = 1
    resources: dict[Name, NonNegativeFloat] = {}
    """What a replica reserves, in Ray's names: GPU, CPU, or a node's own. It sees no GPU that it did not reserve."""


def _every_reward() -> dict[str, RewardSettings]:
    return {name: RewardSettings() for name in discover()}


class Settings(_Strict):
    """The whole of mesh.yaml. Every field has a default: an empty file serves every installed reward on loopback."""

    insecure: bool = False
    """Allows addresses other machines can reach, in the clear. Stands first: the addresses' checks look at it."""
    listen: AddressText = "127.0.0.1:50051"
    metrics: AddressText = "127.0.0.1:9464"
    engine: Literal["serve", "local"] = "serve"
    fast_path: bool = True
    """On Ray Serve: streams straight to the replicas; else, and where that fails, Serve's handles."""
    limits: Limits = Limits()
    queue: Queue = Queue()
    """Per reward."""
    client_rollouts: PositiveInt = 16384
    """That one stream may have on the way, before more is answered `overloaded`."""
    cache: CacheSettings = CacheSettings()
    """Where scores of rewards that compute for long are remembered."""
    timeout_seconds: PositiveFloat = Field(default=30.0, allow_inf_nan=False)
    """For messages that name none."""
    drain_seconds: PositiveFloat = Field(default=10.0, allow_inf_nan=False)
    """How long calls in flight may take to finish when the router stops."""
    sources: dict[Name, Name] = {}
    """Data set -> task."""
    rules: tuple[Rule, ...] = ()
    thinking: Annotated[tuple[tuple[str, str], ...], AfterValidator(_tags)] = ()
    """Pairs of tags that open and close thinking, besides the built-in ones."""
    rewards: dict[InstalledName, RewardSettings] = Field(default_factory=_every_reward)
    """The rewards to serve; left out: every installed one."""

    def specs(self) -> list[RewardSpec]:
        """The enabled rewards, as engines take them."""
        served = {name: reward for name, reward in self.rewards.items() if reward.enabled}
        return [
            RewardSpec(name, r.options, r.replicas, r.sources, self.thinking, r.resources) for name, r in served.items()
        ]

    def labels(self) -> set[str]:
        """The sources that metrics tell apart: all that are named anywhere."""
        return {*self.sources, *(source for reward in self.rewards.values() for source in reward.sources)}

    def with_engine(self, engine: str) -> Self:
        """These settings with another engine, as the command line may ask for."""
        return self.model_copy(update={"engine": engine})

    @classmethod
    def load(cls, path: str | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """Reads mesh.yaml (none: the defaults), then the overrides in the environment.

        `REWARDMESH_LIMITS__COMPLETION_BYTES=1024` overrides `limits.completion_bytes`; values are read as YAML. The
        service links of Kubernetes, which may begin alike, are passed over.

        Raises:
            SettingsError: Something is missing, unknown or of the wrong type.
            OSError: The file cannot be read.
        """
        fields = {} if path is None else _mapping(_yaml(Path(path).read_bytes(), path), path)
        ours = {name: environ[name] for name in sorted(environ) if name.startswith(PREFIX)}
        overrides = {name: text for name, text in ours.items() if not _SERVICE_LINK.fullmatch(f"{name}={text}")}
        if any(_keys(name)[0] == "rewards" for name in overrides) and fields.get("rewards") is None:
            fields["rewards"] = {name: {} for name in discover()}  # overrides add to the default, not replace it
        for name, text in overrides.items():
            _put(fields, _keys(name), _yaml(text, name), name)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise SettingsError(_one_line(error, path or "settings", overrides)) from None


def _keys(name: str) -> list[str]:
    return name.removeprefix(PREFIX).lower().split(NEST)


def _yaml(text: str | bytes, origin: str) -> object:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date that is none
        raise SettingsError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None


def _mapping(value: object, origin: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{origin}: must hold fields, got {value!r:.80}")
    return cast(dict[str, Any], value)


def _put(fields: dict[str, Any], keys: list[str], value: object, origin: str) -> None:
    for key in keys[:-1]:
        if fields.get(key) is None:
            fields[key] = {}
        fields = _mapping(fields[key], f"{origin}: {key}")
    fields[keys[-1]] = value


def _one_line(error: ValidationError, origin: str, overrides: Mapping[str, str]) -> str:
    """What is wrong, field by field, each with where it was said."""
    complaints: list[str] = []
    for each in error.errors():
        keys = [str(key) for key in each["loc"] if key != "[key]"]
        # The override of the field itself, of one around it, or of one within it.
        near = [name for name in overrides if all(a == b for a, b in zip(_keys(name), keys, strict=False))]
        said, field = near[0] if near else origin, ".".join(keys)
        text = "is no field of mesh.yaml" if each["type"] == "extra_forbidden" else each["msg"]
        complaints.append(": ".join(part for part in (said, field, text.removeprefix("Value error, ")) if part))
    return "; ".join(complaints)
