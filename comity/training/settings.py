"""Settings of a training run: its length, its numbers of games and seeds, its evaluations."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from comity.runs.values import Misfit, checked
from comity.settings import NotNegative, Positive, check

MOST_SEEDS, LAST_SEED = 100_000, 2**31 - 1  # limits for a config, which may come from anybody
EPISODES = 32  # largest default number of episodes of an evaluation during training
SHARE = 4  # by default these evaluations together take at most a quarter of the planned env steps
FINAL_EPISODES = 320  # largest default number of episodes of a final evaluation
FINAL_SHARE = 10  # by default the final evaluation takes at most a tenth of the planned env steps
FINAL_TABLES = 4  # last policy and best, sampled and greedy


@dataclass(frozen=True)
class Training:
    """Settings of a training run that neither the game nor the algorithm owns."""

    seeds: Positive[int] = 4  # number of seeds
    first_seed: NotNegative[int] = 0  # the first seed; the others follow it
    envs: Positive[int] = 32  # games played at once
    iterations: Positive[int] = 3000  # one iteration plays every game for one rollout, then updates once
    minutes: Positive[float] | None = None  # time limit: stops after the last chunk that fits, or after iterations
    cpu_seconds: Positive[float] | None = None
    # the same limit in processor time of all seeds together, without compiling and the final evaluation
    chunk: Positive[int] = 10  # iterations per compiled call; each chunk gives one line of metrics and one checkpoint
    keep_every: NotNegative[int] = 0  # iterations between two checkpoints that are kept, from iteration 0 on, to watch
    # how a team learned; 0: keeps only the newest two and the best
    evaluations: NotNegative[int] = 100  # number of evaluations over the run, at ends of chunks; iteration 0 and the
    # last are always evaluated
    evaluate_every: Positive[int] | None = None
    # iterations between two evaluations, a multiple of chunk; None: from evaluations
    evaluation_episodes: Positive[int] | None = None
    # episodes per seed and policy at each evaluation; None: 32, or fewer in a short run
    final_episodes: Positive[int] | None = None
    # episodes per seed and policy at the final evaluation, for the last policy and the best; None: 320, or fewer in a
    # short run
    mode: Literal["auto", "loop", "vmap", "shard", "games"] = "auto"  # how seeds run; auto: loop on a CPU, vmap on one
    # accelerator, shard on several; games: spreads the games of each seed over several devices
    memory: Positive[float] | None = None
    # GB of the device that training may use; seeds then run in groups; None: all of the device
    track: tuple[Literal["tensorboard", "wandb", "trackio", "mlflow"], ...] = ()  # trackers that also get the numbers

    def __post_init__(self):
        check(self)
        every = self.evaluate_every
        if every is not None and every % self.chunk:
            raise ValueError(f"evaluate_every {every} must be 1 chunk or more, whole chunks of {self.chunk} iterations")
        if self.first_seed + self.seeds - 1 > LAST_SEED:
            raise ValueError(f"{self.seeds} seeds from first_seed {self.first_seed} on go beyond {LAST_SEED}: lower it")

    @property
    def every(self) -> int:
        """Number of iterations between two evaluations, a multiple of `chunk`."""
        fitting = max(1, -(-self.iterations // max(self.evaluations, 1) // self.chunk)) * self.chunk
        return self.evaluate_every or fitting

    def settled(self, rollout: int, length: int) -> "Training":
        """Sets `evaluation_episodes` if it is None: 32, or fewer, a power of two, if all evaluations together would
        take more than a quarter of the planned env steps.

        rollout: steps of an iteration; length: largest number of steps of an episode.
        """
        if self.evaluation_episodes is not None:
            return self
        times = 1 + (-(-self.iterations // self.every) if self.evaluations else 1)
        affordable = self.envs * rollout * self.iterations / (SHARE * 2 * times * length)  # two policies
        return replace(self, evaluation_episodes=min(EPISODES, 2 ** int(math.log2(max(affordable, 1.0)))))

    def finals(self, rollout: int, length: int) -> int:
        """Number of episodes of the final evaluation, per seed and policy, for the last policy and for the best.

        It is `final_episodes` if that is given. Else it is 320, or fewer if they would take more than a tenth of the
        planned env steps: whole batches of `evaluation_episodes`, at least one. The arguments are those of `settled`.
        """
        if self.final_episodes is not None:
            return self.final_episodes
        affordable = self.envs * rollout * self.iterations / (FINAL_SHARE * FINAL_TABLES * length)
        batch = self.settled(rollout, length).evaluation_episodes or EPISODES
        return min(FINAL_EPISODES, max(1, int(affordable // batch)) * batch)


def training_of(config: dict[str, Any], **more: Any) -> Training:
    """The settings in the section `training` of a config.yaml, replaced by those in `more`. Raises ValueError, one
    line."""
    section = {} if config.get("training") is None else config["training"]
    if not isinstance(section, dict):
        raise Misfit(f"training {section!r} is no section: give its settings below it, such as iterations: 100")
    training = Training(**checked(Training, {**section, **more}, "training"))
    if training.seeds > MOST_SEEDS:
        raise ValueError(f"training: seeds {training.seeds} are more than a run can have, {MOST_SEEDS}")
    return training
