"""Files of prompts: what is read, and what is refused, with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewardmesh.contract import AnswerSpace, CountReference, Message
from rewardmesh.trainer_client.demo.tasks import make_prompt
from rewardmesh.trainer_client.job.prompts import JsonlPrompts, PromptsError

COUNT = {"type": "count", "count": 3}
LINE: dict[str, Any] = {"id": "a", "task": "counting", "prompt": "how many?", "reference": COUNT}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_prompts_are_read_by_number_with_all_that_a_reward_needs(tmp_path: Path) -> None:
    picture = make_prompt("counting", 0)[0].images[0].data
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0.png").write_bytes(picture)
    shown = [{"role": "user", "content": [{"type": "image", "image": 0}, {"type": "text", "text": "how many?"}]}]
    path = written(
        tmp_path,
        LINE,
        "",
        LINE | {"id": "ü", "prompt": shown, "images": [{"uri": "pictures/0.png"}], "source": "mine"},
        LINE | {"id": "c", "answer_space": {"preset": "qwen2.5-vl"}, "metadata": {"level": 3}, "completion": "three"},
    )
    prompts = JsonlPrompts(path, "shapes")
    assert (len(prompts), prompts.task, prompts.ids) == (3, "counting", ["a", "ü", "c"])
    assert prompts[0].messages == (Message("user", "how many?"),)
    assert (prompts[0].source, prompts[1].source) == ("shapes", "mine")
    assert prompts[1].images[0].data == picture
    asked = prompts[2].rollout("four", 1)
    assert asked.answer_space == AnswerSpace(preset="qwen2.5-vl")
    assert (asked.metadata, asked.reference, asked.completion) == ({"level": 3}, CountReference(3), "four")
    assert JsonlPrompts(written(tmp_path, {"id": "a", "prompt": "?"}), "mine", "preference").task == "preference"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "has no prompts"),
        (["\n"], "has no prompts"),
        ([LINE, "{"], "prompts.jsonl:2: not JSON"),
        ([[1]], "prompts.jsonl:1: a rollout must be a JSON object"),
        ([LINE | {"promt": "x"}], "prompts.jsonl:1: unknown field 'promt'"),
        ([LINE | {"prompt": ""}], "prompts.jsonl:1: prompt is missing"),
        ([LINE | {"task": ""}], "prompts.jsonl:1: task is missing"),
        ([LINE, LINE | {"id": "b", "task": "math"}], "prompts.jsonl:2: its task is 'math', that of others 'counting'"),
        ([LINE, LINE | {"id": "b"}, LINE], "prompts.jsonl:3: the id 'a' is that of line 1"),
        ([LINE | {"reference": {"type": "count"}}], "prompts.jsonl:1: reference.count is missing"),
        ([LINE | {"images": [{"uri": "not/there.png"}]}], r"prompts.jsonl:1: there is no image .*not/there.png"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: list[object], says: str) -> None:
    with pytest.raises(PromptsError, match=says):
        JsonlPrompts(written(tmp_path, *lines), "shapes")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptsError, match=r"none\.jsonl: No such file"):
        JsonlPrompts(tmp_path / "none.jsonl", "shapes")
