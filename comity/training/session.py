"""What one process holds of one run: what it is made of, and the state that training goes on from."""

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
    """A record; what is done with it are functions: `starting`, `compile`, `evaluation`, `saving`, `loop`.

    Making one traces the programs, which refuses what does not fit before anything is written.
    """

    directory: RunDirectory
    manifest: dict[str, Any]
    ready: compile.Ready | Member  # the compiled programs
    carry: Any  # PerSeed, what training goes on from

    def __init__(
        self, recipe: Recipe, training: Training, known: remembered.Programs | None = None,
        member: Member | None = None,
    ):  # fmt: skip
        """member: the run's place among several that are trained side by side."""
        refuse_fork()
        self.member = member
        if not (recipe.task.shipped and recipe.algorithm.shipped):
            checking.refuse(recipe.make, recipe.config, recipe.env)  # a user's own; tests check what is shipped
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
        self.shape = self.programs.shape  # of one seed's carry
        self.notices = [*checking.empty_sizes(recipe.env), *memory.lines(recipe, training, self.seeds, self.shape)]
        self.names = [training.first_seed + i for i in range(training.seeds)]
        self.keys = self.seeds.join([key_of(seed) for seed in self.names])

        self.iteration, self.env_steps = 0, dict.fromkeys(self.names, 0)
        self.failed: dict[int, str] = {}  # seed: what is not finite
        self.best: dict[int, best.Best] = {}
        self.lines, self.stop = identity.Lines(), member.stop if member else Stop()
        self.wall_before = 0.0  # seconds, of this run's earlier processes
        self.cpu_seconds = 0.0  # processor time of training so far, of earlier processes too
        self.compile_seconds: float | None = None
        self.evaluation_seconds = 0.0  # of one batch of episodes
        self.evaluated = 0.0  # seconds of all evaluations so far

    @property
    def aim(self) -> str:
        """What the best is chosen by."""
        return best.aim(self.env)

    @property
    def planned(self) -> bool:
        """Whether this iteration is one of those that are evaluated."""
        on_grid = self.training.evaluations and self.iteration % self.training.every == 0
        return bool(on_grid) or self.iteration >= self.training.iterations

    @property
    def alive(self) -> list[tuple[int, int]]:
        """(index, seed) of the seeds whose state is finite."""
        return [(index, seed) for index, seed in enumerate(self.names) if seed not in self.failed]

    @property
    def states(self) -> Any:
        """PerSeed, the algorithm's."""
        return self.seeds.part(lambda one: one.state, self.carry)

    def best_file(self, seed: int) -> Path:
        return self.directory.checkpoints / f"best-{seed}.npz"

    def stopped(self) -> bool:
        """Whether a signal asked to stop; of several processes, the first one's."""
        stopped = processes.agreed(self.stop.asked.is_set())
        if stopped:
            self.stop.asked.set()
        elif not processes.first():
            self.stop.asked.clear()
        return stopped

    def close(self) -> None:
        self.programs.close()
        self.seeds.close()
