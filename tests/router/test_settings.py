"""mesh.yaml and its overrides: what is read, and the one line that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from rewardmesh.rewards.registry import discover
from rewardmesh.router.settings import Address, Settings, SettingsError
from rewardmesh.services.deployment import application
from rewardmesh.services.engine import RewardSpec

MESH = Path(__file__).parents[2] / "deploy" / "mesh.yaml"


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    return Settings.load(str(path), environ or {})


def test_the_defaults_serve_every_installed_reward_on_loopback() -> None:
    settings = Settings.load(None, {"PATH": "/bin"})
    assert settings.listen == "127.0.0.1:50051"
    assert settings.metrics == "127.0.0.1:9464"
    assert settings.engine == "serve"
    assert [spec.name for spec in settings.specs()] == list(discover())


def test_the_shipped_file_says_the_defaults() -> None:
    shipped, default = Settings.load(str(MESH), {}), Settings.load(None, {})
    for field in ("listen", "metrics", "insecure", "engine", "limits", "timeout_seconds", "drain_seconds"):
        assert getattr(shipped, field) == getattr(default, field)
    assert {spec.name for spec in shipped.specs()} == {
        "math",
        "grounding",
        "point",
        "action",
        "counting",
        "temporal",
        "preference",
    }


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing\n") == Settings.load(None, {})


def test_a_key_left_empty_is_the_default(tmp_path: Path) -> None:
    empty = "listen:\nlimits:\n  rollouts:\nsources:\nrules:\nrewards:\n"
    assert load(tmp_path, empty) == Settings.load(None, {})
    assert load(tmp_path, "rewards:\n  math:\n  point:\n    options:\n").specs() == [
        RewardSpec("math"),
        RewardSpec("point"),
    ]
    one = {"REWARDMESH_REWARDS__MATH__REPLICAS": "2"}
    assert [spec.name for spec in load(tmp_path, "rewards:\n", one).specs()] == list(discover())


def test_a_list_of_rewards_is_the_whole_list(tmp_path: Path) -> None:
    text = "rewards: {math: {replicas: 3}, counting: {enabled: false}, point: {options: {sigma: 2}}}"
    specs = load(tmp_path, text).specs()
    assert [(s.name, s.replicas, s.options) for s in specs] == [("math", 3, {}), ("point", 1, {"sigma": 2})]


def test_overrides_nest_and_are_read_as_yaml(tmp_path: Path) -> None:
    environ = {
        "REWARDMESH_LISTEN": "127.0.0.1:0",
        "REWARDMESH_LIMITS__COMPLETION_BYTES": "12",
        "REWARDMESH_REWARDS__PREFERENCE__OPTIONS__CHECKPOINT": "a/b",
        "REWARDMESH_REWARDS__MATH__ENABLED": "false",
        "REWARDMESH_SOURCES": "{x: math}",
    }
    settings = load(tmp_path, "limits: {rollouts: 7}\nlisten: 127.0.0.1:1", environ)
    assert settings.listen == "127.0.0.1:0"
    assert (settings.limits.completion_bytes, settings.limits.rollouts) == (12, 7)
    assert settings.sources == {"x": "math"}
    specs = {spec.name: spec for spec in settings.specs()}
    assert set(specs) == set(discover()) - {"math"}, "overriding one reward must not unload the others"
    assert specs["preference"].options == {"checkpoint": "a/b"}


def test_sources_may_have_options_of_their_own(tmp_path: Path) -> None:
    text = """
sources: {aime24: math}
thinking: [["<plan>", "</plan>"]]
rewards:
  math:
    options: {require_simplified: number}
    sources: {gsm8k: {last_number: true}, asdiv: {last_number: true}}
  counting: {sources: {aime24: {}}}
  point: {enabled: false, sources: {old: {}}}
"""
    settings = load(tmp_path, text, {"REWARDMESH_REWARDS__MATH__SOURCES__GSM8K__REQUIRE_SIMPLIFIED": "nothing"})
    gsm8k = {"last_number": True, "require_simplified": "nothing"}
    math, counting = settings.specs()
    assert math.options == {"require_simplified": "number"}
    assert math.sources == {"gsm8k": gsm8k, "asdiv": {"last_number": True}}
    assert math.thinking == counting.thinking == (("<plan>", "</plan>"),)
    assert settings.labels() == {"aime24", "gsm8k", "asdiv", "old"}


def test_service_links_of_kubernetes_are_no_overrides() -> None:
    links: dict[str, str] = {}
    for service in ("REWARDMESH", "REWARDMESH_ROUTER", "REWARDMESH_HEAD_2"):
        links |= {
            f"{service}_SERVICE_HOST": "10.0.0.11",
            f"{service}_SERVICE_PORT": "50051",
            f"{service}_SERVICE_PORT_GRPC": "50051",
            f"{service}_SERVICE_PORT_HTTP_METRICS": "9464",
            f"{service}_PORT": "tcp://10.0.0.11:50051",
            f"{service}_PORT_50051_TCP": "tcp://10.0.0.11:50051",
            f"{service}_PORT_50051_TCP_PROTO": "tcp",
            f"{service}_PORT_50051_TCP_PORT": "50051",
            f"{service}_PORT_50051_TCP_ADDR": "10.0.0.11",
            f"{service}_PORT_53_UDP": "udp://[fd00::11]:53",
        }
    assert Settings.load(None, links) == Settings.load(None, {})


def test_nothing_said_of_sources_and_thinking_is_nothing_told_to_engines(tmp_path: Path) -> None:
    assert load(tmp_path, "thinking:\nrewards: {math: {sources: }}").specs() == [RewardSpec("math")]


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("port: 1", {}, ["mesh.yaml: port", "no field"]),
        ("port:", {}, ["mesh.yaml: port", "no field"]),
        ("sources: {x: }", {}, ["sources.x", "string"]),
        ("rules: [{pattern: x, task: }]", {}, ["rules.0.task", "required"]),
        ("limits: {bytes: 1}", {}, ["mesh.yaml: limits.bytes", "no field"]),
        ("limits: {rollouts: 0}", {}, ["limits.rollouts", "greater than 0"]),
        ("limits: {rollouts: many}", {}, ["limits.rollouts", "integer"]),
        ("timeout_seconds: .inf", {}, ["timeout_seconds", "finite"]),
        ("timeout_seconds: -1", {}, ["timeout_seconds", "greater than 0"]),
        ("engine: spark", {}, ["engine", "'serve'"]),
        ("listen: 0.0.0.0:1", {}, ["listen", "insecure: true"]),
        ("metrics: '[::]:1'", {}, ["metrics", "insecure: true"]),
        ("listen: example.org:1", {}, ["listen", "insecure: true"]),
        ("listen: 127.0.0.1", {}, ["listen", "host:port"]),
        ("listen: 127.0.0.1:65536", {}, ["listen", "host:port"]),
        ("listen: ::1:80", {}, ["listen", "brackets"]),
        ("rules: [{pattern: '(', task: math}]", {}, ["rules.0.pattern", "no regular expression"]),
        ("rules: [{pattern: x}]", {}, ["rules.0.task", "required"]),
        ("rewards: {nope: {}}", {}, ["rewards.nope", "no reward named", "math"]),
        ("rewards: {math: {replica: 2}}", {}, ["rewards.math.replica", "no field"]),
        ("rewards: {math: {sources: {gsm8k: }}}", {}, ["rewards.math.sources.gsm8k", "dictionary"]),
        ("rewards: {math: {sources: [gsm8k]}}", {}, ["rewards.math.sources", "dictionary"]),
        ("thinking: [<plan>]", {}, ["mesh.yaml: thinking.0", "tuple"]),
        ("thinking: [[<plan>]]", {}, ["mesh.yaml: thinking.0.1", "required"]),
        ("thinking: [[<plan>, '']]", {}, ["mesh.yaml: thinking", "pairs of tags"]),
        ("thinking: [['##', '#']]", {}, ["mesh.yaml: thinking", "closing tag '#'"]),
        ("- a", {}, ["mesh.yaml", "must hold fields"]),
        ("a: [", {}, ["mesh.yaml", "not YAML"]),
        ("\x00", {}, ["mesh.yaml", "not YAML"]),
        ("", {"REWARDMESH_LISTENS": "x"}, ["REWARDMESH_LISTENS", "no field"]),
        ("", {"REWARDMESH_LISTEN_PORT": "6000"}, ["REWARDMESH_LISTEN_PORT", "no field"]),
        ("", {"REWARDMESH_PORT": "6000"}, ["REWARDMESH_PORT", "no field"]),
        ("", {"REWARDMESH_SERVICE": "x"}, ["REWARDMESH_SERVICE", "no field"]),
        ("", {"REWARDMESH_LIMITS__SERVICE_HOST": "x"}, ["REWARDMESH_LIMITS__SERVICE_HOST", "no field"]),
        ("", {"REWARDMESH_LIMITS__ROLLOUTS": "x"}, ["REWARDMESH_LIMITS__ROLLOUTS", "limits.rollouts"]),
        ("", {"REWARDMESH_LISTEN": "1.2.3.4:5"}, ["REWARDMESH_LISTEN", "insecure: true"]),
        ("listen: 127.0.0.1:1", {"REWARDMESH_LISTEN__PORT": "5"}, ["REWARDMESH_LISTEN__PORT", "must hold fields"]),
        ("", {"REWARDMESH_REWARDS__NOPE__REPLICAS": "2"}, ["REWARDMESH_REWARDS__NOPE__REPLICAS", "no reward named"]),
        ("", {"REWARDMESH_RULES": "{"}, ["REWARDMESH_RULES", "not YAML"]),
    ],
)
def test_one_clear_line_names_the_field(tmp_path: Path, text: str, environ: dict[str, str], says: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, environ)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message


def test_other_machines_are_allowed_only_on_request(tmp_path: Path) -> None:
    assert load(tmp_path, "listen: 0.0.0.0:1\nmetrics: 0.0.0.0:2\ninsecure: true").listen == "0.0.0.0:1"


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:1", "127.8.8.8:1", "[::1]:1"])
def test_loopback_addresses(text: str) -> None:
    address = Address.parse(text)
    assert address.loopback
    assert str(address) == text


def test_replicas_reserve_what_mesh_yaml_says() -> None:
    [spec] = Settings.model_validate({"rewards": {"counting": {"resources": {"GPU": 1, "place": 0.5}}}}).specs()
    options = application(spec)._bound_deployment.ray_actor_options
    assert options is not None
    assert (options["num_gpus"], options["num_cpus"], options["resources"]) == (1, 0, {"place": 0.5})
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Settings.model_validate({"rewards": {"counting": {"resources": {"GPU": -1}}}})
