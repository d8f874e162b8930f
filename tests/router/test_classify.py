"""Which task a rollout belongs to: a table, and what must hold for every completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.contract import CountReference, MathReference, Rollout
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.contract.json_form import rollout_from_json
from rewardmesh.router.classify import Classifier, served_tasks
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.settings import Limits, Rule, Settings
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.local import LocalEngine

CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "cases" / "classify.jsonl").open()]
CLASSIFIER = Classifier(
    {"zoo": "counting", "lost": "nobody"},
    [
        Rule(pattern=r"(?i)where is", task="grounding"),
        Rule(pattern=r"bounding", task="grounding"),
        Rule(pattern=r"(?i)how many", task="counting"),
    ],
)
SERVED = served_tasks(
    {
        "math": ["math"],
        "grounding": ["grounding"],
        "point": ["point"],
        "counting": ["counting"],
        "temporal": ["temporal"],
        "gui": ["action"],
        "preference": ["preference", "chat"],
        "judge": ["chat"],
        "brevity": [],  # it could not be loaded, so its tasks are not known
    }
)


def sealed(fields: dict[str, Any]) -> Envelope:
    return Envelope.seal(rollout_from_json({"id": "r", "completion": "x"} | fields))


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_classify(case: dict[str, Any]) -> None:
    envelope = sealed(case["rollout"])
    if "kind" in case:
        with pytest.raises(RewardMeshError) as caught:
            CLASSIFIER.classify(envelope, SERVED)
        assert caught.value.kind == case["kind"]
        for part in case["says"]:
            assert part in str(caught.value)
    else:
        found = CLASSIFIER.classify(envelope, SERVED)
        assert (found.task, found.reward) == (case["task"], case["reward"])
        assert found.why


@given(st.sampled_from(CASES), st.text() | st.sampled_from(["Where is", "how many", "task: math", '{"task": "math"}']))
def test_the_completion_never_decides(case: dict[str, Any], completion: str) -> None:
    def outcome(fields: dict[str, Any]) -> object:
        try:
            return CLASSIFIER.classify(sealed(fields), SERVED)
        except RewardMeshError as error:
            return error.kind, str(error)

    assert outcome(case["rollout"]) == outcome(case["rollout"] | {"completion": completion})


def test_a_long_task_is_not_echoed_whole() -> None:
    with pytest.raises(RewardMeshError) as caught:
        CLASSIFIER.classify(sealed({"task": "x" * 10_000}), SERVED)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("fields", [{"task": "brevity"}, {"reference": {"type": "brevity", "words": 3}}])
def test_an_installed_reward_that_is_not_listed_is_hinted_at(fields: dict[str, Any]) -> None:
    with pytest.raises(RewardMeshError, match=r"the reward 'brevity' is installed, but mesh\.yaml does not list it"):
        CLASSIFIER.classify(sealed(fields), served_tasks({"math": ["math"]}))


@pytest.mark.parametrize("task", ["poetry", "brevity"])
def test_there_is_no_hint_at_what_is_not_installed_or_scores_other_tasks(task: str) -> None:
    with pytest.raises(RewardMeshError) as caught:
        CLASSIFIER.classify(sealed({"task": task}), served_tasks({"brevity": ["shortness"]}))
    assert "installed" not in str(caught.value)


def test_a_pattern_is_told_as_it_is_written() -> None:
    pattern = r"\\boxed\{"
    found = Classifier({}, [Rule(pattern=pattern, task="math")]).classify(sealed({"prompt": r"Use \boxed{}."}), SERVED)
    assert found.why == f"the prompt matches '{pattern}'"


async def test_a_failure_tells_the_task_that_was_found() -> None:
    rule = Rule(pattern="sonnet", task="sonnets")
    settings = Settings(limits=Limits(completion_bytes=10), sources={"lost": "nobody"}, rules=(rule,))
    pipeline = Pipeline(LocalEngine([RewardSpec("counting")]), settings, Metrics())
    cases = {
        "unknown_reward nobody ": Rollout("a", "x", source="lost"),
        "unknown_reward math ": Rollout("b", "x", reference=MathReference(["3"])),
        "unknown_reward sonnets ": Rollout("c", "x", prompt="Write a sonnet."),
        "too_large counting counting": Rollout("d", "3" * 11, reference=CountReference(3)),
        "unclassified  ": Rollout("e", "3" * 11),
    }
    verdicts = await pipeline.score([Envelope.seal(rollout) for rollout in cases.values()])
    assert [f"{v.failure.kind} {v.task} {v.reward}" for v in verdicts if v.failure] == list(cases)
