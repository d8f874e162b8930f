"""Keys of the score cache: equal exactly when the reward cannot tell two rollouts apart."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rewardmesh.contract import AnswerSpace, FreeReference, Image, ImagePart, MathReference, Message, Rollout, TextPart
from rewardmesh.contract.envelope import Envelope, wire_fields
from rewardmesh.router.cache import Key
from rewardmesh.router.cache.key import LONG, make_keys, redis_name
from rewardmesh.v1 import reward_pb2 as pb

from ..contract.strategies import rollouts

FIELDS = ("prompt", "completion", "reference", "images", "answer_space", "truncated", "step", "policy_version", "task",
          "source", "group", "metadata")  # fmt: skip


@dataclass(frozen=True)
class Hosted:
    """A reward as the engine tells of it."""

    name: str = "judge"
    version: str = "1"
    digest: str = "abc"
    cacheable: bool = True
    reads: tuple[str, ...] = FIELDS
    by_source: bool = False


ALL = Hosted()


def key(rollout: Rollout | pb.Rollout, status: Hosted = ALL) -> Key:
    envelope = Envelope(rollout) if isinstance(rollout, pb.Rollout) else Envelope.seal(rollout)
    keys = make_keys([envelope], status)
    assert keys is not None
    return keys[0]


def differ(one: Key, other: Key) -> bool:
    """Whether they differ, in both of their forms."""
    assert (one == other) == (redis_name(one) == redis_name(other))
    return one != other


@given(rollouts, rollouts, st.sets(st.sampled_from(FIELDS)), st.booleans())
def test_keys_differ_exactly_when_what_is_read_differs(a: Rollout, b: Rollout, reads: set[str], source: bool) -> None:
    status = replace(ALL, reads=tuple(reads), by_source=source)
    one, other = Envelope.seal(a), Envelope.seal(b)
    fields = wire_fields([*reads, "completion", *(["source"] if source else [])])
    assert differ(key(a, status), key(b, status)) == (one.inputs(fields) != other.inputs(fields))


@given(rollouts, rollouts, st.sampled_from(FIELDS))
def test_one_field_is_enough_to_differ(a: Rollout, b: Rollout, field: str) -> None:
    changed = replace(a, **{field: getattr(b, field)})
    fields = wire_fields([field])
    assume(Envelope.seal(a).inputs(fields) != Envelope.seal(changed).inputs(fields))
    assert differ(key(a), key(changed))
    unread = replace(ALL, reads=tuple(name for name in FIELDS if name not in (field, "completion")))
    if field != "completion":
        assert not differ(key(a, unread), key(changed, unread))


@given(rollouts)
def test_the_way_over_the_wire_does_not_matter(rollout: Rollout) -> None:
    sent = Envelope.seal(rollout).message
    assert not differ(key(sent), key(pb.Rollout.FromString(sent.SerializeToString())))


def test_the_id_does_not_matter() -> None:
    assert not differ(key(Rollout("a", "42")), key(Rollout("b", "42")))


@pytest.mark.parametrize("change", [{"name": "x"}, {"version": "2"}, {"digest": "abd"}, {"reads": ("completion",)}])
def test_another_reward_has_other_keys(change: dict[str, Any]) -> None:
    rollout = Rollout("r", "42")
    assert differ(key(rollout), key(rollout, replace(ALL, **change)))


def test_names_are_not_run_together() -> None:
    rollout = Rollout("r", "42")
    one, other = Hosted(name="a", version="bc"), Hosted(name="ab", version="c")
    assert differ(key(rollout, one), key(rollout, other))


def test_the_source_matters_where_it_has_options_of_its_own() -> None:
    zoo, farm = Rollout("r", "42", source="zoo"), Rollout("r", "42", source="farm")
    plain = replace(ALL, reads=("completion", "reference"))
    assert not differ(key(zoo, plain), key(farm, plain))
    assert differ(key(zoo, replace(plain, by_source=True)), key(farm, replace(plain, by_source=True)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pb.Rollout(completion=""), pb.Rollout()),
        (pb.Rollout(completion="", prompt=""), pb.Rollout(completion="")),
        (pb.Rollout(completion="", step=0), pb.Rollout(completion="")),
        (pb.Rollout(completion="", reference=pb.Reference()), pb.Rollout(completion="")),
        (pb.Rollout(completion="", answer_space=pb.AnswerSpace()), pb.Rollout(completion="")),
        (pb.Rollout(completion="", messages=[pb.Message()]), pb.Rollout(completion="")),
        (pb.Rollout(completion="", images=[pb.Image()]), pb.Rollout(completion="")),
        (pb.Rollout(completion="", images=[pb.Image()]), pb.Rollout(completion="", images=[pb.Image(), pb.Image()])),
    ],
)
def test_empty_is_not_absent(one: pb.Rollout, other: pb.Rollout) -> None:
    assert differ(key(one), key(other))


def test_a_prompt_is_not_a_message_of_the_same_text() -> None:
    assert differ(key(Rollout("r", "", prompt="hi")), key(Rollout("r", "", prompt=(Message("user", "hi"),))))
    parts = (TextPart("hi"), ImagePart(0))
    assert differ(
        key(Rollout("r", "", prompt=(Message("user", parts),))), key(Rollout("r", "", prompt=(Message("user", "hi"),)))
    )


def test_an_image_is_not_its_address() -> None:
    assert differ(key(Rollout("r", "", images=(Image(data=b"a"),))), key(Rollout("r", "", images=(Image(uri="a"),))))


def test_order_and_grouping_matter() -> None:
    a, b = Image(data=b"a"), Image(data=b"b")
    assert differ(key(Rollout("r", "", images=(a, b))), key(Rollout("r", "", images=(b, a))))
    assert differ(
        key(Rollout("r", "", reference=MathReference(["1", "2"]))),
        key(Rollout("r", "", reference=MathReference(["12"]))),
    )
    assert differ(
        key(Rollout("r", "", reference=FreeReference("x", {"a": 0}))),
        key(Rollout("r", "", reference=FreeReference("x", {"a": False}))),
    )


@pytest.mark.parametrize("size", [LONG - 1, LONG, LONG + 1, 4 * LONG])
@pytest.mark.parametrize("letter", ["a", "界"])
def test_long_values_differ_in_one_letter(size: int, letter: str) -> None:
    text = letter * size
    assert not differ(key(Rollout("r", text)), key(Rollout("s", text)))
    assert differ(key(Rollout("r", text)), key(Rollout("r", text[:-1] + "b")))
    images = [(Image(data=text.encode() + last),) for last in (b"x", b"y")]
    assert differ(*(key(Rollout("r", "", images=image)) for image in images))


def test_keys_are_small_whatever_they_are_made_of() -> None:
    long = b"x" * 2**20
    made = key(Rollout("r", long.decode(), prompt=long.decode(), images=(Image(data=long),) * 3))
    assert len(repr(made)) < 2000


def test_a_value_cannot_pass_for_the_digest_of_a_long_one() -> None:
    (*_, images), (*_, short) = (
        key(pb.Rollout(completion="", images=[pb.Image(data=data)]), replace(ALL, reads=("images",)))
        for data in (b"x" * (LONG + 1), b"y")
    )
    assert isinstance(images, tuple)
    assert isinstance(images[0], tuple)
    assert isinstance(short, tuple)
    assert isinstance(short[0], bytes)


def test_a_reward_that_is_not_cacheable_has_no_keys(caplog: pytest.LogCaptureFixture) -> None:
    envelope = Envelope.seal(Rollout("r", "42"))
    assert make_keys([envelope], replace(ALL, cacheable=False)) is None
    for _ in range(2):
        assert make_keys([envelope], replace(ALL, reads=("completions",))) is None
    assert [record.message for record in caplog.records] == [
        "reward 'judge' is not cached: no such field of a rollout: 'completions'; known: id, completion, prompt, "
        "reference, task, source, group, answer_space, images, truncated, policy_version, step, metadata"
    ]


def test_many_keys_are_those_of_each() -> None:
    many = [Rollout(str(i), str(i % 3), answer_space=AnswerSpace("unit") if i % 2 else None) for i in range(8)]
    assert make_keys([Envelope.seal(rollout) for rollout in many], ALL) == [key(rollout) for rollout in many]
    assert make_keys([], ALL) == []


def test_no_message_in_a_rollout_holds_a_map() -> None:
    """Else the same value would be written in one order here and in another there."""
    seen: set[str] = set()

    def look(descriptor: Any) -> None:
        assert not descriptor.GetOptions().map_entry
        if descriptor.full_name not in seen:
            seen.add(descriptor.full_name)
            for field in descriptor.fields:
                if field.message_type is not None:
                    look(field.message_type)

    look(pb.Rollout.DESCRIPTOR)


def test_another_process_gives_the_same_names() -> None:
    program = (
        "from rewardmesh.router.cache.key import redis_name\n"
        "print(redis_name(('judge', 'an ' + 'answer', b'\\x00', None, 7, True, (b'', (b'x',)))).hex())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == redis_name(("judge", "an answer", b"\x00", None, 7, True, (b"", (b"x",)))).hex()
