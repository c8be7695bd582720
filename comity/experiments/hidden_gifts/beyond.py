"""Questions that the paper leaves open (sections 5.1 and 5.2): the same experiments with PG and with PPO."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from comity.experiments.claims import Claim, Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale, Trial
from comity.experiments.hidden_gifts.arms import BUDGETS, HISTORY, SUCCESS, WRITTEN, pg
from comity.experiments.measures import Measure

MIDDLE = Measure("success", window=(0.4, 0.8))
SILENCE = "silence:success - success"  # success that the same policies lose if their messages are not heard
SILENCED = {"silence": Trial({"closed": True})}
LEARNERS_WRITTEN = "2026-11-29"  # the day on which the claims about PPO and silence were written, before their runs


def of_pg(name: str, options: Mapping[str, Any], **settings: Any) -> Arm:
    return pg(f"pg-{name}", dict(options), **settings)


def of_ippo(name: str, options: Mapping[str, Any], **settings: Any) -> Arm:
    """Returns an arm with the preset that learns the task. With the paper's settings IPPO leaves no gifts."""
    return Arm(f"ippo-sound-{name}", "ippo", "sound", settings, options, budget="ippo")


def arms(make: Callable[..., Arm]) -> dict[str, Arm]:
    """Returns label -> arm of one learner."""

    def talking(name: str, closed: bool) -> Arm:
        arm = make(name, {**HISTORY, "symbols": 4, "closed": closed})
        return replace(arm, task="manitokan-messages", trials={} if closed else SILENCED)

    return {
        "2 agents": make("history", HISTORY),
        "3 agents": make("history-3-agents", {**HISTORY, "num_agents": 3}),
        "4 agents": make("history-4-agents", {**HISTORY, "num_agents": 4}),
        "window only": make("window", {}),
        "window, long memory": make("window-attention", {}, core="attention"),
        "messages": talking("history-messages", False),
        "messages nobody hears": talking("history-messages-closed", True),
        "prediction": make("history-predict", HISTORY, predict="others"),
    }


PANELS = (
    Panel("success", "success (%)", ("2 agents", "3 agents", "4 agents"), scale=100),
    Panel("gift_delay", "steps from the gift to success", ("2 agents", "3 agents", "4 agents")),
    Panel("success", "success (%)", ("window only", "window, long memory"), scale=100),
    Panel("success", "success (%)", ("2 agents", "messages", "messages nobody hears"), scale=100),
    Panel(SILENCE, "success gained by silence (points)", ("messages",), scale=100),
    Panel("success", "success (%)", ("2 agents", "prediction"), scale=100),
)


def claims(since: str) -> tuple[Claim, ...]:
    """Returns the claims, which are the same for both learners."""
    claim = dated(since)
    return (
        claim(
            "more-agents",
            "The paper expects: with more agents it is harder.",
            Comparison("3 agents", "below", "2 agents", SUCCESS, 0.1),
            Comparison("4 agents", "below", "3 agents", SUCCESS, 0.02),
        ),
        claim(
            "delay",
            "The paper expects: the delay of the gift grows with the number of agents.",
            Comparison("3 agents", "above", "2 agents", Measure("gift_delay"), 5.0),
            Comparison("4 agents", "above", "3 agents", Measure("gift_delay"), 5.0),
        ),
        claim(
            "long-memory",
            "Ours: with a long memory agents learn the gift sooner.",
            Comparison("window, long memory", "above", "window only", MIDDLE, 0.05),
        ),
        claim(
            "messages",
            "Ours: agents that hear each other learn the gift sooner.",
            Comparison("messages", "above", "messages nobody hears", MIDDLE, 0.05),
        ),
        dated(LEARNERS_WRITTEN)(
            "gifts-stay",
            "Ours: gifts stay when nobody hears the messages any more.",
            Comparison("messages", "equal", 0.0, Measure(SILENCE, "last"), 0.05),
        ),
        claim(
            "prediction",
            "Ours: agents that predict the other learn the gift sooner.",
            Comparison("prediction", "above", "2 agents", MIDDLE, 0.05),
        ),
    )


IPPO_BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {"ippo": Budget(5, 300)},  # enough for two agents to succeed in 98 %
    "paper": {"ippo": Budget(10, 10_000)},
}
BEYOND = Figure(
    "beyond",
    "Beyond the paper: more agents, long memory, messages, prediction",
    arms(of_pg),
    BUDGETS,
    PANELS,
    claims(WRITTEN),
    smoke=("2 agents", "4 agents", "window, long memory", "prediction"),
)
BEYOND_PPO = Figure(
    "beyond-ppo",
    "Beyond the paper, with PPO: more agents, long memory, messages, prediction",
    arms(of_ippo),
    IPPO_BUDGETS,
    PANELS,
    claims(LEARNERS_WRITTEN),
    smoke=("2 agents", "messages"),
    note="IPPO of the preset `sound`, which learns to leave gifts in 300 batches; by the paper's settings it does not.",
)
