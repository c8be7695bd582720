"""What the paper leaves open, its sections 5.1 and 5.2."""

from dataclasses import replace

from comity.experiments.claims import Comparison
from comity.experiments.figure import Arm, Figure, Panel
from comity.experiments.hidden_gifts.arms import BUDGETS, HISTORY, PG_HISTORY, PG_WINDOW, SUCCESS, claim, pg
from comity.experiments.measures import Measure

MIDDLE = Measure("success", window=(0.4, 0.8))


def talking(name: str, closed: bool) -> Arm:
    return replace(pg(name, {**HISTORY, "symbols": 4, "closed": closed}), task="manitokan-messages")


BEYOND = Figure(
    "beyond",
    "Beyond the paper: more agents, long memory, messages, prediction",
    {
        "2 agents": PG_HISTORY,
        "3 agents": pg("pg-history-3-agents", {**HISTORY, "num_agents": 3}),
        "4 agents": pg("pg-history-4-agents", {**HISTORY, "num_agents": 4}),
        "window only": PG_WINDOW,
        "window, long memory": pg("pg-window-attention", network="attention"),
        "messages": talking("pg-history-messages", False),
        "messages nobody hears": talking("pg-history-messages-closed", True),
        "prediction": pg("pg-history-predict", HISTORY, predict="others"),
    },
    BUDGETS,
    (
        Panel("success", "success (%)", ("2 agents", "3 agents", "4 agents"), scale=100),
        Panel("gift_delay", "steps from the gift to success", ("2 agents", "3 agents", "4 agents")),
        Panel("success", "success (%)", ("window only", "window, long memory"), scale=100),
        Panel("success", "success (%)", ("2 agents", "messages", "messages nobody hears"), scale=100),
        Panel("success", "success (%)", ("2 agents", "prediction"), scale=100),
    ),
    (
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
        claim(
            "prediction",
            "Ours: agents that predict the other learn the gift sooner.",
            Comparison("prediction", "above", "2 agents", MIDDLE, 0.05),
        ),
    ),
    smoke=("2 agents", "4 agents", "window only", "window, long memory", "messages", "prediction"),
)
