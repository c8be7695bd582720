"""A Gymnasium environment as a parallel environment of one agent. Imports no jax."""

from typing import Any

from comity.interop.games import takes_seed


class Single:
    """`env` with a name for its one agent, in the form that `comity.interop.games` plays."""

    def __init__(self, env: Any):
        names = ("observation_space", "action_space", "reset", "step")
        if lacking := [name for name in names if not hasattr(env, name)]:
            raise ValueError(f"{type(env).__name__} has no {' and no '.join(lacking)}: it is no gymnasium.Env")
        kind = type(env).__name__
        if hasattr(env, "num_envs"):
            raise ValueError(f"{kind} holds {env.num_envs} games: give one, comity plays many side by side")
        if not takes_seed(env.reset):
            raise ValueError(f"{kind}.reset takes no seed: declare reset(self, *, seed=None, options=None)")
        self.env, self.possible_agents, self.agents = env, ["agent"], ["agent"]
        self.limit: int | None = None  # time limit in steps, if its maker knows it

    @property
    def metadata(self) -> dict:
        return getattr(self.env, "metadata", None) or {}

    @property
    def unwrapped(self) -> Any:
        return getattr(self.env, "unwrapped", self.env)

    def observation_space(self, agent: str) -> Any:
        return self.env.observation_space

    def action_space(self, agent: str) -> Any:
        return self.env.action_space

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        found = self.env.reset(seed=seed)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise ValueError("reset gives no (observation, info): give both, as gymnasium asks")
        self.agents = ["agent"]
        return {"agent": found[0]}, {"agent": found[1]}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        found = self.env.step(actions["agent"])
        if not (isinstance(found, tuple) and len(found) == 5):
            raise ValueError("step gives no (observation, reward, terminated, truncated, info): give the five")
        observation, reward, terminated, truncated, info = found
        self.agents = [] if terminated or truncated else ["agent"]
        of = lambda value: {"agent": value}  # noqa: E731
        return of(observation), of(float(reward)), of(bool(terminated)), of(bool(truncated)), of(info)

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()
