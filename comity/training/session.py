"""The state of one run in one process: the run's parts, and the state of its training."""

from pathlib import Path
from typing import Any

from comity import checking
from comity.recipes import Recipe
from comity.runs.directory import RunDirectory
from comity.settings import floats
from comity.spec import functions
from comity.training import best, compile, identity, memory, processes, remembered
from comity.training.machine import refuse_fork
from comity.training.seed_keys import key_of
from comity.training.settings import Training
from comity.training.stopping import Stop
from comity.training.together import Member


class Session:
    """A record of one run. Functions in `starting`, `compile`, `evaluations`, `saving` and `loop` work on it.

    The constructor traces the programs, which raises the errors of parts that do not fit before anything is written.
    """

    directory: RunDirectory
    manifest: dict[str, Any]
    ready: compile.Ready | Member  # the compiled programs
    carry: Any  # PerSeed, a `programs.Carry` for each seed

    def __init__(
        self, recipe: Recipe, training: Training, known: remembered.Programs | None = None,
        member: Member | None = None,
    ):  # fmt: skip
        """known: programs that this process remembers; member: the run's place among runs that train side by side."""
        refuse_fork()
        self.member = member
        if not (recipe.task.shipped and recipe.algorithm.shipped):
            checking.refuse(recipe.make, recipe.config, recipe.env)  # a user's own; tests check shipped ones
        elif functions(recipe.env).host:
            checking.refuse_game(recipe.env)
        self.recipe, self.env, length = recipe, recipe.env, recipe.env.spec.length
        rollout = memory.rollout_length(recipe)
        self.training = training = training.settled(rollout, length)
        self.episodes, self.final_episodes = training.evaluation_episodes or 1, training.finals(rollout, length)
        self.seeds, self.floats = compile.seeds_of(recipe, training), floats(recipe.config)
        self.known = known or remembered.Programs()
        self.sizes = {"games": training.envs, "chunk": training.chunk, "episodes": self.episodes}
        self.programs = compile.built(recipe, training.envs, training.chunk, self.episodes, self.seeds.spread)
        self.shape = self.programs.shape  # shapes of one seed's carry
        self.notices = [*checking.empty_sizes(recipe.env), *memory.lines(recipe, training, self.seeds, self.shape)]
        self.names = [training.first_seed + i for i in range(training.seeds)]
        self.keys = self.seeds.join([key_of(seed) for seed in self.names])

        self.iteration, self.env_steps = 0, dict.fromkeys(self.names, 0)
        self.failed: dict[int, str] = {}  # seed: name of the array that is not finite
        self.best: dict[int, best.Best] = {}
        self.lines, self.stop = identity.Lines(), member.stop if member else Stop()
        self.wall_before = 0.0  # wall time of this run's earlier processes, in seconds
        self.cpu_seconds = 0.0  # processor time of training so far, with earlier processes
        self.compile_seconds: float | None = None
        self.evaluation_seconds = 0.0  # seconds for one batch of episodes
        self.evaluated = 0.0  # seconds of all evaluations so far

    @property
    def aim(self) -> str:
        """The metric that the best checkpoint is chosen by."""
        return best.aim(self.env)

    @property
    def planned(self) -> bool:
        """True if the policies are evaluated at this iteration."""
        on_grid = self.training.evaluations and self.iteration % self.training.every == 0
        return bool(on_grid) or self.iteration >= self.training.iterations

    @property
    def alive(self) -> list[tuple[int, int]]:
        """(index, seed) of the seeds whose state is finite."""
        return [(index, seed) for index, seed in enumerate(self.names) if seed not in self.failed]

    @property
    def states(self) -> Any:
        """The algorithm's state of each seed, as PerSeed."""
        return self.seeds.part(lambda one: one.state, self.carry)

    def best_file(self, seed: int) -> Path:
        return self.directory.checkpoints / f"best-{seed}.npz"

    def stopped(self) -> bool:
        """True if a signal asked to stop. Of several processes the first one decides."""
        stopped = processes.agreed(self.stop.asked.is_set())
        if stopped:
            self.stop.asked.set()
        elif not processes.first():
            self.stop.asked.clear()
        return stopped

    def close(self) -> None:
        self.programs.close()
        self.seeds.close()
