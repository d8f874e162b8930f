"""Scores in this process: bounded by bytes, the least recently used forgotten first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rewardmesh.router.cache.key import Key
from rewardmesh.router.cache.lru import ENTRY_BYTES, LRU, entry_bytes

keys = st.integers(0, 12).map(lambda i: ("reward", "x" * 10 * i, (b"image",) * (i % 3), str(i)))


def three() -> tuple[list[Key], LRU]:
    """Keys of equal size, the first three of them in a cache that has no room for a fourth."""
    made: list[Key] = [("reward", letter) for letter in "abcd"]
    lru = LRU(3 * entry_bytes(made[0], b"score"))
    for key in made[:3]:
        lru.put(key, b"score")
    return made, lru


def test_the_oldest_is_forgotten() -> None:
    made, lru = three()
    lru.put(made[3], b"score")
    found, missing = lru.get_many(made)
    assert list(found) == made[1:]
    assert missing == made[:1]


def test_what_was_asked_for_is_kept() -> None:
    made, lru = three()
    lru.get_many(made[:1])
    lru.put(made[3], b"score")
    assert lru.get_many(made)[1] == [made[1]]


def test_what_was_put_again_is_kept_once_and_replaced() -> None:
    made, lru = three()
    before = lru.bytes
    lru.put(made[0], b"other")
    assert (lru.bytes, len(lru)) == (before, 3)
    lru.put(made[3], b"score")
    assert lru.get_many(made) == ({made[0]: b"other", made[2]: b"score", made[3]: b"score"}, [made[1]])


def test_keys_asked_for_twice_are_told_once() -> None:
    made, lru = three()
    assert lru.get_many([made[3], made[0], made[3], made[0]]) == ({made[0]: b"score"}, [made[3]])


def test_what_is_too_large_costs_nothing_else() -> None:
    made, lru = three()
    lru.put(made[3], b"x" * 4 * ENTRY_BYTES)
    assert lru.get_many(made)[1] == [made[3]]


def test_a_limit_of_0_remembers_nothing() -> None:
    lru = LRU(0)
    lru.put(("reward", "a"), b"score")
    assert (len(lru), lru.bytes) == (0, 0)


@given(st.lists(st.tuples(keys, st.binary(max_size=300))), st.integers(0, 4000))
def test_the_limit_holds_and_values_are_those_put_last(puts: list[tuple[Key, bytes]], limit: int) -> None:
    lru = LRU(limit)
    last: dict[Key, bytes] = {}
    for key, score in puts:
        lru.put(key, score)
        last[key] = score
        assert lru.bytes <= limit
    found, missing = lru.get_many(last)
    assert lru.bytes == sum(entry_bytes(*each) for each in found.items())
    assert found.items() <= last.items()
    assert len(found) + len(missing) == len(last)


@given(st.text(max_size=50), st.binary(max_size=50))
def test_the_estimate_is_at_least_the_text(text: str, image: bytes) -> None:
    plain = entry_bytes(("reward", "", (b"",)), b"")
    assert entry_bytes(("reward", text, (image,)), b"score") >= plain + len(text) + len(image) + len(b"score")
