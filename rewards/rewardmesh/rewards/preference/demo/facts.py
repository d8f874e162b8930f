"""What the demo's questions are about."""

from __future__ import annotations

# What is asked about, and its answer; a wrong one is another of the same group.
FACTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("the capital of France", "Paris"),
        ("the capital of Japan", "Tokyo"),
        ("the capital of Kenya", "Nairobi"),
        ("the capital of Peru", "Lima"),
        ("the capital of Norway", "Oslo"),
        ("the capital of Egypt", "Cairo"),
    ),
    (
        ("the chemical symbol of gold", "Au"),
        ("the chemical symbol of iron", "Fe"),
        ("the chemical symbol of sodium", "Na"),
        ("the chemical symbol of silver", "Ag"),
        ("the chemical symbol of lead", "Pb"),
    ),
    (
        ("the number of legs of a spider", "eight"),
        ("the number of legs of an ant", "six"),
        ("the number of legs of a crab", "ten"),
        ("the number of legs of a horse", "four"),
    ),
    (
        ("the largest planet", "Jupiter"),
        ("the closest planet to the sun", "Mercury"),
        ("the red planet", "Mars"),
        ("the planet with the brightest rings", "Saturn"),
    ),
    (
        ("the past tense of go", "went"),
        ("the past tense of see", "saw"),
        ("the past tense of take", "took"),
        ("the past tense of write", "wrote"),
    ),
)
