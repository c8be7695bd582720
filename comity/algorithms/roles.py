"""Assigns a learner to each agent of a population, by role or by number."""

from collections.abc import Mapping

from comity.settings import did_you_mean
from comity.spec import Spec


def label(role: str) -> str:
    """Returns the name of a role in settings and metrics: good, agent_0, agents_1_2."""
    if not role[0].isdigit():
        return role.replace("-", "_")
    return f"agents_{role.replace('-', '_')}" if "-" in role else f"agent_{role}"


def agents_of(role: str, spec: Spec) -> tuple[int, ...]:
    """Returns the agents that a role names. Raises ValueError if the game has no such role or agent."""
    first, _, last = role.partition("-")
    if first.isdigit() and (last or first).isdigit():
        chosen = tuple(range(int(first), int(last or first) + 1))
        if not chosen or chosen[-1] >= spec.agents:
            raise ValueError(f"there are no agents {role}: this game has {spec.agents}, numbered from 0")
        return chosen
    if role not in spec.roles:
        near = did_you_mean(role, dict.fromkeys(spec.roles))
        known = f"its roles are {_listed(spec)}; " if spec.roles else ""
        raise ValueError(f"{role!r} is no role of this game{near}; {known}numbers name agents, too: 0 or 1-2")
    return tuple(i for i, name in enumerate(spec.roles) if name == role)


def one_learner_each(agents: Mapping[str, tuple[int, ...]], spec: Spec) -> None:
    """Raises ValueError unless every agent has exactly one learner."""
    for agent in range(spec.agents):
        having = [role for role, chosen in agents.items() if agent in chosen]
        if len(having) > 1:
            raise ValueError(f"agent {_agent(agent, spec)} has two learners, {having[0]} and {having[1]}: give it one")
        if not having:
            raise ValueError(f"agent {_agent(agent, spec)} has no learner: give every agent one, if only random")


def _agent(agent: int, spec: Spec) -> str:
    return f"{agent} ({spec.roles[agent]})" if spec.roles else str(agent)


def _listed(spec: Spec) -> str:
    """Returns the roles with their agents as text: "adversary (0), good (1, 2)"."""
    numbers = {role: [str(i) for i, name in enumerate(spec.roles) if name == role] for role in spec.roles}
    return ", ".join(f"{role} ({', '.join(found)})" for role, found in numbers.items())
