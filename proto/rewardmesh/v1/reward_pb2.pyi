from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreRequest(_message.Message):
    __slots__ = ("id", "rollouts", "options")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    id: int
    rollouts: _containers.RepeatedCompositeFieldContainer[Rollout]
    options: ScoreOptions
    def __init__(self, id: _Optional[int] = ..., rollouts: _Optional[_Iterable[_Union[Rollout, _Mapping]]] = ..., options: _Optional[_Union[ScoreOptions, _Mapping]] = ...) -> None: ...

class ScoreOptions(_message.Message):
    __slots__ = ("timeout_seconds", "pins")
    class PinsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    timeout_seconds: float
    pins: _containers.ScalarMap[str, str]
    def __init__(self, timeout_seconds: _Optional[float] = ..., pins: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("id", "verdicts")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    def __init__(self, id: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("score", "cancel")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    score: ScoreRequest
    cancel: int
    def __init__(self, score: _Optional[_Union[ScoreRequest, _Mapping]] = ..., cancel: _Optional[int] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("rollouts",)
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    rollouts: _containers.RepeatedCompositeFieldContainer[Rollout]
    def __init__(self, rollouts: _Optional[_Iterable[_Union[Rollout, _Mapping]]] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("classifications",)
    CLASSIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    classifications: _containers.RepeatedCompositeFieldContainer[Classification]
    def __init__(self, classifications: _Optional[_Iterable[_Union[Classification, _Mapping]]] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("id", "task", "reward", "why", "failure")
    ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    task: str
    reward: str
    why: str
    failure: Failure
    def __init__(self, id: _Optional[str] = ..., task: _Optional[str] = ..., reward: _Optional[str] = ..., why: _Optional[str] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class ListRewardsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRewardsResponse(_message.Message):
    __slots__ = ("rewards",)
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    rewards: _containers.RepeatedCompositeFieldContainer[RewardInfo]
    def __init__(self, rewards: _Optional[_Iterable[_Union[RewardInfo, _Mapping]]] = ...) -> None: ...

class RewardInfo(_message.Message):
    __slots__ = ("name", "version", "digest", "tasks", "ready", "detail", "pure")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PURE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digest: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    ready: bool
    detail: str
    pure: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ..., ready: bool = ..., detail: _Optional[str] = ..., pure: bool = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("id", "group", "task", "source", "prompt", "messages", "completion", "reference", "answer_space", "images", "truncated", "policy_version", "step", "metadata_json")
    ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_SPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    id: str
    group: str
    task: str
    source: str
    prompt: str
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    completion: str
    reference: Reference
    answer_space: AnswerSpace
    images: _containers.RepeatedCompositeFieldContainer[Image]
    truncated: bool
    policy_version: int
    step: int
    metadata_json: str
    def __init__(self, id: _Optional[str] = ..., group: _Optional[str] = ..., task: _Optional[str] = ..., source: _Optional[str] = ..., prompt: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., completion: _Optional[str] = ..., reference: _Optional[_Union[Reference, _Mapping]] = ..., answer_space: _Optional[_Union[AnswerSpace, _Mapping]] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., truncated: bool = ..., policy_version: _Optional[int] = ..., step: _Optional[int] = ..., metadata_json: _Optional[str] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("role", "text", "parts")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    role: str
    text: str
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    def __init__(self, role: _Optional[str] = ..., text: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("text", "image")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    text: str
    image: int
    def __init__(self, text: _Optional[str] = ..., image: _Optional[int] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("data", "uri")
    DATA_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    uri: str
    def __init__(self, data: _Optional[bytes] = ..., uri: _Optional[str] = ...) -> None: ...

class AnswerSpace(_message.Message):
    __slots__ = ("kind", "order", "input_size", "preset")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    INPUT_SIZE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    kind: str
    order: str
    input_size: Size
    preset: str
    def __init__(self, kind: _Optional[str] = ..., order: _Optional[str] = ..., input_size: _Optional[_Union[Size, _Mapping]] = ..., preset: _Optional[str] = ...) -> None: ...

class Size(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x1", "y1", "x2", "y2")
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    X2_FIELD_NUMBER: _ClassVar[int]
    Y2_FIELD_NUMBER: _ClassVar[int]
    x1: float
    y1: float
    x2: float
    y2: float
    def __init__(self, x1: _Optional[float] = ..., y1: _Optional[float] = ..., x2: _Optional[float] = ..., y2: _Optional[float] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class Polygon(_message.Message):
    __slots__ = ("vertices",)
    VERTICES_FIELD_NUMBER: _ClassVar[int]
    vertices: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, vertices: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("box", "polygon")
    BOX_FIELD_NUMBER: _ClassVar[int]
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    box: Box
    polygon: Polygon
    def __init__(self, box: _Optional[_Union[Box, _Mapping]] = ..., polygon: _Optional[_Union[Polygon, _Mapping]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: float
    end: float
    def __init__(self, start: _Optional[float] = ..., end: _Optional[float] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("math", "boxes", "point", "count", "segments", "action", "preference", "free")
    MATH_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PREFERENCE_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    math: MathReference
    boxes: BoxReference
    point: PointReference
    count: CountReference
    segments: SegmentReference
    action: ActionReference
    preference: PreferenceReference
    free: FreeReference
    def __init__(self, math: _Optional[_Union[MathReference, _Mapping]] = ..., boxes: _Optional[_Union[BoxReference, _Mapping]] = ..., point: _Optional[_Union[PointReference, _Mapping]] = ..., count: _Optional[_Union[CountReference, _Mapping]] = ..., segments: _Optional[_Union[SegmentReference, _Mapping]] = ..., action: _Optional[_Union[ActionReference, _Mapping]] = ..., preference: _Optional[_Union[PreferenceReference, _Mapping]] = ..., free: _Optional[_Union[FreeReference, _Mapping]] = ...) -> None: ...

class MathReference(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, answers: _Optional[_Iterable[str]] = ...) -> None: ...

class BoxReference(_message.Message):
    __slots__ = ("boxes", "space", "labels", "image_size")
    BOXES_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    boxes: _containers.RepeatedCompositeFieldContainer[Box]
    space: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    image_size: Size
    def __init__(self, boxes: _Optional[_Iterable[_Union[Box, _Mapping]]] = ..., space: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., image_size: _Optional[_Union[Size, _Mapping]] = ...) -> None: ...

class PointReference(_message.Message):
    __slots__ = ("regions", "space", "image_size", "refusal")
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    space: str
    image_size: Size
    refusal: bool
    def __init__(self, regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., space: _Optional[str] = ..., image_size: _Optional[_Union[Size, _Mapping]] = ..., refusal: bool = ...) -> None: ...

class CountReference(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class SegmentReference(_message.Message):
    __slots__ = ("segments", "duration")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    duration: float
    def __init__(self, segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., duration: _Optional[float] = ...) -> None: ...

class ActionReference(_message.Message):
    __slots__ = ("action", "region", "text", "direction", "space", "image_size")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    action: str
    region: Region
    text: str
    direction: str
    space: str
    image_size: Size
    def __init__(self, action: _Optional[str] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., text: _Optional[str] = ..., direction: _Optional[str] = ..., space: _Optional[str] = ..., image_size: _Optional[_Union[Size, _Mapping]] = ...) -> None: ...

class PreferenceReference(_message.Message):
    __slots__ = ("completions",)
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    completions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, completions: _Optional[_Iterable[str]] = ...) -> None: ...

class FreeReference(_message.Message):
    __slots__ = ("type", "fields_json")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_JSON_FIELD_NUMBER: _ClassVar[int]
    type: str
    fields_json: str
    def __init__(self, type: _Optional[str] = ..., fields_json: _Optional[str] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("value", "reason", "explanation", "parsed", "span", "components", "raw", "model")
    class ComponentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    PARSED_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    value: float
    reason: str
    explanation: str
    parsed: str
    span: Span
    components: _containers.ScalarMap[str, float]
    raw: float
    model: str
    def __init__(self, value: _Optional[float] = ..., reason: _Optional[str] = ..., explanation: _Optional[str] = ..., parsed: _Optional[str] = ..., span: _Optional[_Union[Span, _Mapping]] = ..., components: _Optional[_Mapping[str, float]] = ..., raw: _Optional[float] = ..., model: _Optional[str] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("kind", "message", "retryable", "retry_after_seconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    retryable: bool
    retry_after_seconds: float
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ..., retryable: bool = ..., retry_after_seconds: _Optional[float] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("id", "score", "failure", "task", "reward", "version", "digest", "seconds", "queued", "cached")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    id: str
    score: Score
    failure: Failure
    task: str
    reward: str
    version: str
    digest: str
    seconds: float
    queued: float
    cached: bool
    def __init__(self, id: _Optional[str] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., task: _Optional[str] = ..., reward: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., seconds: _Optional[float] = ..., queued: _Optional[float] = ..., cached: bool = ...) -> None: ...
