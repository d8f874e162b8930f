"""How model families write coordinates, by what their makers publish."""

from __future__ import annotations

from dataclasses import dataclass

from rewardmesh.rewards.visual.smart_resize import Resize

# preprocessor_config.json of Qwen2.5-VL's and MiMo-VL's checkpoints, and qwen_vl_utils: 4 and 16384 patches of 28 x 28.
_QWEN = Resize(factor=28, min_pixels=3136, max_pixels=12_845_056)
# README_coordinates.md and action_parser.py of github.com/bytedance/UI-TARS: 100 and 16384 patches of 28 x 28.
_UI_TARS = Resize(factor=28, min_pixels=78_400, max_pixels=12_845_056)


@dataclass(frozen=True, slots=True)
class Preset:
    """How a family writes coordinates, the same for boxes, points and GUI actions.

    Coordinates that have names (`x=1, y=2`) have no order; all others of a family that writes y first are in that
    order, points too.

    Attributes:
        kind: As in `AnswerSpace.kind`.
        order: As in `AnswerSpace.order`.
        resize: For kind "resized": what makes the size the model sees, where the rollout does not give it.
    """

    kind: str
    order: str = "xyxy"
    resize: Resize | None = None


PRESETS = {
    # arXiv 2409.12191: <|box_start|>(x1,y1),(x2,y2)<|box_end|> in [0, 1000).
    "qwen2-vl": Preset("relative_1000"),
    # arXiv 2502.13923: boxes and points in the pixels of the input; so is computer_use, whose screen is
    # declared to the model at the resized size (the repository's cookbooks/computer_use.ipynb).
    "qwen2.5-vl": Preset("resized", resize=_QWEN),
    # cookbooks/2d_grounding.ipynb and computer_use.ipynb of Qwen3-VL: back to a thousandth of the side, tools too.
    "qwen3-vl": Preset("relative_1000"),
    # arXiv 2506.03569: the architecture and the processor of Qwen2.5-VL; the GUI's start_point likewise.
    "mimo-vl": Preset("resized", resize=_QWEN),
    # arXiv 2404.16821: <box>[[x1, y1, x2, y2]]</box>; GUI points alike.
    "internvl": Preset("relative_1000"),
    # arXiv 2501.12326: start_box='(x,y)'; coordinates over 1000.
    "ui-tars": Preset("relative_1000"),
    # README_coordinates.md: pixels of the smart-resized screenshot, with a floor of its own.
    "ui-tars-1.5": Preset("resized", resize=_UI_TARS),
    # arXiv 2504.07491: pyautogui.click(x=0.2, y=0.1).
    "kimi-vl": Preset("unit"),
    # arXiv 2507.01006, and the glmv-grounding skill of zai-org: round(x / width * 1000).
    "glm-4.1v": Preset("relative_1000"),
    # arXiv 2408.01800 and github.com/OpenBMB/MiniCPM-V: <box>x1 y1 x2 y2</box>.
    "minicpm-v": Preset("relative_1000"),
    # arXiv 2407.07726: <locYYYY><locXXXX>..., 1024 bins, y first.
    "paligemma": Preset("loc_1024", "yxyx"),
    # ai.google.dev, "Image understanding": box_2d [ymin, xmin, ymax, xmax] and point [y, x] over 1000.
    "gemini": Preset("relative_1000", "yxyx"),
    # arXiv 2311.06242: <loc_0> to <loc_999>. A bin is read at its beginning, half a thousandth before its centre.
    "florence-2": Preset("relative_1000"),
    # arXiv 2412.10302: <|det|>[[x1, y1, x2, y2]]<|/det|> over 999.
    "deepseek-vl2": Preset("relative_999"),
    # arXiv 2409.17146: <point x="63.5" y="44.5"> in percent; it has no boxes.
    "molmo": Preset("percent"),
    # arXiv 2312.08914 and README of CogAgent-9B: box=[[x1,y1,x2,y2]], three digits over 1000, boxes for clicks too.
    "cogagent": Preset("relative_1000"),
    # arXiv 2410.23218 and the model cards: over 1000, on both of its bases, InternVL2 (4B) and Qwen2-VL (7B).
    "os-atlas": Preset("relative_1000"),
}
