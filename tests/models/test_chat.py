"""Contents are text, templates are ids, and the completion is never cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rewardmesh.models.chat import TURN_END, TURN_START, ChatTokenizer, ImageSlot
from rewardmesh.models.chat_template import TemplateError
from rewardmesh.models.tiny_text import tiny_tokenizer
from tests.rewards.small_rm import SPECIALS, tokenizer

LIMIT = 512
# As Llama 3 and Gemma have it: special tokens of their own, contents trimmed, a role that is refused.
OTHER = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n\n{{ m.content | trim }}<|im_end|>{% endfor %}"
)
ASKS = "{% if add_generation_prompt %}<|im_start|>assistant\n\n{% endif %}"
texts = st.text(st.characters(codec="utf-8"), max_size=40)
contents = st.lists(st.one_of(texts, st.sampled_from(SPECIALS)), max_size=5).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def chat(folder: Path) -> ChatTokenizer:
    return ChatTokenizer(folder)


@pytest.fixture(scope="module")
def seeing(folder: Path, plain: Tokenizer) -> ChatTokenizer:
    return ChatTokenizer(folder, plain.token_to_id("<|image_pad|>"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Tokenizer:
    """The file as it is, which does read special tokens in a text."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_the_usual_template_is_chatml(chat: ChatTokenizer, plain: Tokenizer) -> None:
    text = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 1/2?<|im_end|>\n"
        "<|im_start|>assistant\nA half.<|im_end|>\n"
    )
    encoded = chat.encode([("system", ["Be brief."]), ("user", ["What is 1/2?"])], "A half.", LIMIT)
    assert encoded.ids == plain.encode(text).ids
    assert encoded.ids[: encoded.prompt] == plain.encode(text.partition("A half.")[0]).ids
    assert (encoded.cut, encoded.images) == (0, ())


@pytest.mark.parametrize("where", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_checkpoint_s_own_template_is_used(folder: Path, tmp_path: Path, plain: Tokenizer, where: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    config = {"bos_token": {"content": "<|endoftext|>"}} | ({"chat_template": OTHER} if "config" in where else {})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if "jinja" in where:
        (tmp_path / where).write_text(OTHER)
    chat = ChatTokenizer(tmp_path)
    expected = "<|endoftext|><|im_start|>user\n\nHi<|im_end|><|im_start|>assistant\n\nHello<|im_end|>"
    assert chat.encode([("user", ["Hi"])], "Hello", LIMIT).ids == plain.encode(expected).ids
    with pytest.raises(TemplateError, match="no system"):
        chat.encode([("system", ["Hi"])], "Hello", LIMIT)


@pytest.mark.parametrize("template", ["{{ nothing", "{{ messages[0].content }}", "{% for m in messages %}{% endfor %}"])
def test_a_template_that_loses_contents_is_refused(folder: Path, tmp_path: Path, template: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(ValueError, match="chat template"):
        ChatTokenizer(tmp_path)


@given(system=contents, prompt=contents, completion=contents)
def test_no_content_yields_a_control_token(
    chat: ChatTokenizer, plain: Tokenizer, system: str, prompt: str, completion: str
) -> None:
    specials = {plain.token_to_id(token) for token in SPECIALS}
    turns = [("system", [system]), ("user", [prompt])]
    empty = chat.encode([("system", [""]), ("user", [""])], "", 100_000).ids
    ids = chat.encode(turns, completion, 100_000).ids
    assert [i for i in ids if i in specials] == [i for i in empty if i in specials]
    left = iter(ids)
    assert all(token in left for token in empty)  # the template's own ids are there, in order, whatever the content
    assert plain.decode(ids, skip_special_tokens=False).count(completion) >= 1


@pytest.mark.parametrize("role", ["user<|im_end|>", "", "a b", "\n"])
def test_a_role_is_a_name(chat: ChatTokenizer, role: str) -> None:
    with pytest.raises(TemplateError, match="no role"):
        chat.encode([(role, ["Hi"])], "Hello", LIMIT)


@given(prompt=texts, completion=texts, limit=st.integers(0, 200))
def test_the_prompt_is_cut_on_the_left_and_the_completion_never(
    chat: ChatTokenizer, prompt: str, completion: str, limit: int
) -> None:
    whole = chat.encode([("user", [prompt])], completion, 100_000)
    encoded = chat.encode([("user", [prompt])], completion, limit)
    if whole.completion > limit:
        assert encoded.ids == []
    else:
        assert len(encoded.ids) == min(limit, len(whole.ids))
        assert whole.ids[encoded.cut :] == encoded.ids
        assert encoded.ids[-whole.completion :] == whole.ids[-whole.completion :]
        assert encoded.prompt == whole.prompt - encoded.cut


def test_images_stand_where_the_turn_has_them(seeing: ChatTokenizer, plain: Tokenizer) -> None:
    turns = [("user", [ImageSlot(1), "What is <|image_pad|>?", ImageSlot(0)])]
    encoded = seeing.encode(turns, "A cat.", LIMIT, [2, 3])
    pad = plain.token_to_id("<|image_pad|>")
    runs = "".join("i" if i == pad else "." for i in encoded.ids).strip(".").split(".")
    assert [len(run) for run in runs if run] == [3, 2]
    assert encoded.images == (1, 0)


@pytest.mark.parametrize("limit", range(12, 40))
def test_an_image_is_cut_whole(seeing: ChatTokenizer, plain: Tokenizer, limit: int) -> None:
    turns = [("user", [ImageSlot(0), ImageSlot(1), "so"])]
    encoded = seeing.encode(turns, "yes", limit, [5, 4])
    assert encoded.ids.count(plain.token_to_id("<|image_pad|>")) == sum([5, 4][image] for image in encoded.images)
    assert encoded.images in ((0, 1), (1,), ())
    assert len(encoded.ids) <= limit


@pytest.mark.parametrize("template", [None, OTHER.replace("raise_exception('no system')", "m.content"), OTHER + ASKS])
def test_a_prompt_to_be_answered_ends_where_an_answer_begins(
    folder: Path, tmp_path: Path, plain: Tokenizer, template: str | None
) -> None:
    """With and without a template that says so itself."""
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    if template is not None:
        (tmp_path / "chat_template.jinja").write_text(template)
    chat = ChatTokenizer(tmp_path)
    opened = chat.open([("user", ["What is 1/2?"])])
    encoded = chat.encode([("user", ["What is 1/2?"])], "A half.", LIMIT)
    assert opened == encoded.ids[: encoded.prompt]
    assert opened + chat.text_ids("A half.") + chat.closing == encoded.ids
    assert plain.decode(opened, skip_special_tokens=False).rstrip("\n").endswith("<|im_start|>assistant")


def test_what_stands_for_an_image_is_the_readers_to_say(seeing: ChatTokenizer, plain: Tokenizer) -> None:
    turns = [("user", ["a", ImageSlot(1), "b", ImageSlot(0)])]
    opened = seeing.open(turns, [[7], [8, 9, 9]])
    start, end = (plain.token_to_id(f"<|vision_{name}|>") for name in ("start", "end"))
    first = opened.index(start)
    assert opened[first : first + 5] == [start, 8, 9, 9, end]
    assert opened[opened.index(start, first + 1) :][:3] == [start, 7, end]


def test_control_tokens_are_told_apart_and_left_out_of_text(chat: ChatTokenizer, plain: Tokenizer) -> None:
    assert {TURN_START, TURN_END} <= set(chat.specials.values())
    assert chat.closing[0] == plain.token_to_id(TURN_END)
    assert chat.decode([*chat.text_ids("A half."), *chat.closing[:1]]) == "A half."


@given(text=contents)
def test_text_ids_are_text_whatever_it_spells(chat: ChatTokenizer, text: str) -> None:
    ids = chat.text_ids(text)
    assert not set(ids) & set(chat.specials)
    assert chat.decode(ids) == text


def test_a_template_without_images_refuses_them(chat: ChatTokenizer) -> None:
    with pytest.raises(TemplateError, match="0 places for 1 images"):
        chat.encode([("user", [ImageSlot(0)])], "yes", LIMIT, [2])


def test_no_prompt_is_no_turn(chat: ChatTokenizer, plain: Tokenizer) -> None:
    assert chat.encode([], "A", LIMIT).ids == plain.encode("<|im_start|>assistant\nA<|im_end|>\n").ids


def test_the_file_s_own_truncation_and_padding_are_off(folder: Path, tmp_path: Path) -> None:
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.enable_truncation(4)
    own.enable_padding(length=64)
    own.save(str(tmp_path / "tokenizer.json"))
    texts = ([], "one two three", LIMIT)
    assert ChatTokenizer(tmp_path).encode(*texts) == ChatTokenizer(folder).encode(*texts)


@pytest.mark.parametrize("token", [TURN_START, TURN_END])
def test_a_tokenizer_without_chatml_needs_a_template(folder: Path, tmp_path: Path, token: str) -> None:
    (tmp_path / "tokenizer.json").write_text((folder / "tokenizer.json").read_text().replace(token, "<|other|>"))
    with pytest.raises(ValueError, match="ChatML"):
        ChatTokenizer(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "no JSON", json.dumps({"model": {"type": "BPE"}})])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        ChatTokenizer(tmp_path)


def test_tiny_tokenizer_keeps_any_text() -> None:
    made = tiny_tokenizer(["Naïve 猫, 1/2 + x"], 400)
    for text in ("Z\0\n\t  ~", "日本語 🙂", "Paris"):
        assert made.decode(made.encode(text).ids) == text
