"""The demo's outcome as a table."""

from __future__ import annotations

from collections.abc import Mapping

from rewardmesh.trainer_client.demo.run import DemoReport
from rewardmesh.trainer_client.training.latency import Latency


def table(report: DemoReport) -> str:
    """Rewards per task before and after, what training looked like, and how long the rewards took."""
    lines = [
        f"mean reward of greedy answers to held-out prompts (± standard error), seed {report.seed}",
        f"  {'task':<12}{'before':>15}{'after':>15}{'change':>9}{'in standard errors':>20}{'blind':>8}",
    ]
    for task, change in report.changes.items():
        before = f"{change.before:.3f} ± {change.before_error:.3f}"
        after = f"{change.after:.3f} ± {change.after_error:.3f}"
        moved = change.after - change.before
        blind = f"{report.blind[task]:.3f}" if task in report.blind else "-"
        lines.append(f"  {task:<12}{before:>15}{after:>15}{moved:>+9.3f}{change.sigmas:>+20.1f}{blind:>8}")
    lines.append("  blind: after training, shown another prompt's pictures")
    return "\n".join(
        [*lines, "", *_training(report), "", "reward latency", latency_table(report.scoring, report.round_trip)]
    )


def latency_table(scoring: Mapping[str, Latency], round_trip: Latency) -> str:
    """How long each reward took for one rollout, and how long the caller waited for a batch."""
    lines = [f"  {'in milliseconds':<28}{'p50':>9}{'p99':>9}{'samples':>9}"]
    rows = {f"{name}, one rollout": latency for name, latency in scoring.items()}
    rows["round trip of a batch"] = round_trip
    for name, (samples, p50, p99) in rows.items():
        lines.append(f"  {name:<28}{p50 * 1e3:>9.3f}{p99 * 1e3:>9.3f}{samples:>9}")
    return "\n".join(lines)


def _training(report: DemoReport) -> list[str]:
    if not report.steps:
        return ["no GRPO steps"]
    totals = {phase: sum(step.seconds[phase] for step in report.steps) for phase in ("sample", "score", "update")}
    lines = [
        f"{len(report.steps)} GRPO steps of all {report.parameters:,} parameters in {report.seconds['grpo']:.0f} s: "
        + ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in totals.items()),
        f"  {'last step, by task':<28}{'entropy':>9}{'zero spread':>13}{'tokens':>9}{'truncated':>11}{'failures':>10}",
    ]
    for task, metrics in report.steps[-1].tasks.items():
        entropy = "-" if metrics.entropy is None else f"{metrics.entropy:.2f}"
        failures = sum(step.tasks[task].failures for step in report.steps if task in step.tasks)
        lines.append(
            f"  {task:<28}{entropy:>9}{metrics.zero_spread:>13.0%}{metrics.length:>9.1f}{metrics.truncated:>11.0%}"
            f"{failures:>10}"
        )
    return lines
