"""Hypothesis strategies: every noun, every JSON value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rewardmesh.contract import (
    ActionReference,
    AnswerSpace,
    Box,
    BoxReference,
    CountReference,
    Failure,
    FreeReference,
    Image,
    ImagePart,
    MathReference,
    Message,
    Point,
    PointReference,
    Polygon,
    PreferenceReference,
    Reference,
    Rollout,
    Score,
    Segment,
    SegmentReference,
    Size,
    TextPart,
    Verdict,
)
from rewardmesh.contract.errors import FAILURE_KINDS

REFERENCE_TYPES = {"math", "boxes", "point", "count", "segments", "action", "preference"}

texts = st.text(max_size=20)  # any Unicode but surrogates
names = st.text(min_size=1, max_size=20)
wild_texts = st.text(st.characters(), max_size=20)  # surrogates too
reasons = st.from_regex(r"[a-z0-9_]{0,64}", fullmatch=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
unit = st.floats(0, 1)
longs = st.integers(-(2**63), 2**63 - 1)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
wild_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | wild_texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(wild_texts, inner, max_size=5),
    max_leaves=12,
)
json_objects = st.dictionaries(texts, json_values, max_size=4)

sizes = st.builds(Size, st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))


def references_of(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Reference]:
    """References of every type whose coordinates and times are such numbers."""
    boxes = st.builds(Box, numbers, numbers, numbers, numbers)
    polygons = st.builds(Polygon, st.lists(st.builds(Point, numbers, numbers), max_size=4))
    regions = boxes | polygons
    segments = st.builds(Segment, numbers, numbers)
    optional_sizes = st.none() | sizes
    optional_texts = st.none() | texts
    own_types = texts.filter(lambda name: name not in REFERENCE_TYPES)
    own_fields = json_objects.filter(lambda fields: "type" not in fields)
    return st.one_of(
        st.builds(MathReference, st.lists(texts, max_size=3)),
        st.builds(BoxReference, st.lists(boxes, max_size=3), names, st.lists(texts, max_size=3), optional_sizes),
        st.builds(PointReference, st.lists(regions, max_size=3), names, optional_sizes, st.booleans()),
        st.builds(CountReference, longs),
        st.builds(SegmentReference, st.lists(segments, max_size=3), st.none() | numbers),
        st.builds(ActionReference, texts, st.none() | regions, optional_texts, optional_texts, names, optional_sizes),
        st.builds(PreferenceReference, st.lists(texts, max_size=3)),
        st.builds(FreeReference, own_types, own_fields),
    )


references = references_of(finite)

parts = st.builds(TextPart, texts) | st.builds(ImagePart, st.integers(0, 2**32 - 1))
messages = st.builds(Message, texts, texts | st.lists(parts, max_size=3).map(tuple))
prompts = texts | st.lists(messages, min_size=1, max_size=3).map(tuple)
images = st.builds(Image, data=st.binary(min_size=1, max_size=20)) | st.builds(Image, uri=names)
answer_spaces = st.builds(AnswerSpace, names, texts, st.none() | sizes) | st.builds(AnswerSpace, preset=names)

rollouts = st.builds(
    Rollout,
    id=names,
    completion=texts,
    prompt=prompts,
    reference=st.none() | references,
    task=texts,
    source=texts,
    group=texts,
    answer_space=st.none() | answer_spaces,
    images=st.lists(images, max_size=2).map(tuple),
    truncated=st.booleans(),
    policy_version=st.none() | longs,
    step=st.none() | longs,
    metadata=json_objects,
)

spans = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(lambda span: (min(span), max(span)))
scores = st.builds(
    Score, unit, reasons, texts, st.none() | texts, st.none() | spans, st.dictionaries(texts, finite, max_size=3),
    st.none() | finite,
)  # fmt: skip
failures = st.builds(Failure, st.sampled_from(sorted(FAILURE_KINDS)), texts, st.booleans())
verdicts = st.builds(
    Verdict, names, scores | failures, texts, texts, texts, texts, finite, finite, st.booleans()
)  # fmt: skip
