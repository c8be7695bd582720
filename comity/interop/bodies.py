"""Bodies of physics engines by short names: `mujoco:half-cheetah`, `pybullet:half-cheetah`, `mamujoco:half-cheetah`.

They come from Gymnasium (MuJoCo, version 5), from the maintained port of PyBullet's bodies, and from
Gymnasium-Robotics, in which several agents share a body. The extra `continuous` installs them all. Imports no jax.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from comity.extras import needed
from comity.interop.makers import Registered
from comity.interop.single import Single
from comity.names import BODIES, PARTS

PACKAGES = {  # {host: packages that the engine needs}
    "mujoco": ("mujoco",),
    "pybullet": ("pybullet", "pybullet_envs_gymnasium"),
    "mamujoco": ("mujoco", "gymnasium_robotics"),
}
SIZE = 256  # pixels of a side of a stick figure
CAPSULE, SPHERE, PLANE = 3, 2, 0  # MuJoCo's types of geoms
JOINT = 0  # MuJoCo's type of an actuator that turns a joint


def registered(host: str, body: str) -> str:
    """Name of a body in gymnasium's registry."""
    name = BODIES[body]
    return f"{name}-v5" if host == "mujoco" else f"{name.replace('Walker2d', 'Walker2D')}BulletEnv-v0"


def require(host: str, title: str) -> None:
    """Raises ValueError if the engine is not installed."""
    try:
        needed("gymnasium")
        offscreen()
        if host == "pybullet":
            needed("pybullet")
            needed("pybullet_envs_gymnasium")
            return
        needed("mujoco")
        if host == "mamujoco":
            needed("gymnasium_robotics")
    except ImportError as error:
        raise ValueError(f"task {title}: {error}") from error


def offscreen() -> None:
    """Makes MuJoCo draw without a window if there is no display. MuJoCo reads this when it is imported."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")


@dataclass(frozen=True)
class Body:
    """The maker of a body that one agent moves."""

    host: str
    body: str

    def __call__(self, **options: Any) -> Any:
        require(self.host, f"{self.host}:{self.body}")
        env = Registered(registered(self.host, self.body))(**options)
        return Drawn(env) if self.host == "mujoco" else env


@dataclass(frozen=True)
class Split:
    """The maker of a body whose joints are split among several agents.

    Options: `agent_conf`, such as 2x3 (two agents with three joints each); `agent_obsk`, number of joints away that an
    agent sees; and others of Gymnasium-Robotics.
    """

    body: str

    def __call__(self, **options: Any) -> Any:
        require("mamujoco", f"mamujoco:{self.body}")
        make = importlib.import_module("gymnasium_robotics").mamujoco_v1.parallel_env
        given = {"agent_conf": PARTS[self.body], **options}
        try:
            return make(BODIES[self.body], **given)
        except (AssertionError, KeyError, ValueError, TypeError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"mamujoco:{self.body} cannot be made with {given}: {said}") from error


def actuators(env: Any, sizes: tuple[int, ...]) -> tuple[str, ...] | tuple[tuple[str, ...], ...]:
    """Names of the numbers of an action, from MuJoCo's model; if several agents share a body, a tuple for each agent.

    Tuples are filled up to the longest. () if there is no such model, or if the numbers are not those of its actuators.
    sizes: number of entries in each agent's action.
    """
    inner = getattr(env, "unwrapped", env)
    parts = getattr(inner, "agent_action_partitions", None)
    body = getattr(inner, "single_agent_env", inner)
    model = getattr(getattr(body, "unwrapped", body), "model", None)
    words = "nu", "actuator", "actuator_trntype", "actuator_trnid", "joint"
    if model is None or not all(hasattr(model, word) for word in words):
        return ()
    names = tuple(_actuator(model, k) for k in range(model.nu))
    each = (names,) if parts is None else tuple(tuple(names[node.act_ids] for node in part) for part in parts)
    if tuple(map(len, each)) != sizes:
        return ()
    most = max(sizes)
    return names if parts is None else tuple((*one, *_numbered(len(one), most)) for one in each)


def _actuator(model: Any, k: int) -> str:
    """Name of actuator k, or else of the joint that it turns: ants, hoppers and walkers name only joints."""
    name = model.actuator(k).name
    if not name and model.actuator_trntype[k] == JOINT:
        name = model.joint(int(model.actuator_trnid[k][0])).name
    return name.replace("_", " ").removesuffix(" joint") or f"actuator {k}"


def _numbered(begin: int, end: int) -> tuple[str, ...]:
    return tuple(f"number {k}" for k in range(begin, end))


class Drawn(Single):
    """A MuJoCo body that is drawn as a stick figure if MuJoCo cannot draw: without EGL, OSMesa or a display."""

    def __init__(self, single: Single):
        super().__init__(single.env)
        self.limit, self.sticks = single.limit, False

    def render(self) -> np.ndarray:
        """Returns a picture, uint8 [H, W, 3]."""
        if not self.sticks:
            try:
                return np.asarray(self.env.render())
            except Exception:  # any error of the graphics library of this machine
                self.sticks = True
        inner = self.unwrapped
        return stick_figure(inner.model, inner.data)


def stick_figure(model: Any, data: Any, size: int = SIZE) -> np.ndarray:
    """uint8 [size, size, 3]: capsules and spheres of a body seen from the side, its torso in the middle.

    model: types, sizes and bodies of the geoms; data: their positions and rotations (in MuJoCo's words).
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (size, size), (247, 247, 244))
    draw, scale = ImageDraw.Draw(image), size / 4.0  # four metres wide
    middle = float(data.xpos[1][0])  # x of the torso

    def pixel(point: Any) -> tuple[float, float]:
        x, y, z = (float(v) for v in point)
        return size / 2 + (x - middle + 0.3 * y) * scale, size * 0.8 - (z + 0.15 * y) * scale

    ground = pixel((middle, 0.0, 0.0))[1]
    draw.line([(0, ground), (size, ground)], fill=(120, 120, 120), width=2)
    for metre in range(int(middle) - 3, int(middle) + 4):
        x = pixel((metre, 0.0, 0.0))[0]
        draw.line([(x, ground), (x, ground + 6)], fill=(120, 120, 120))
    for k, kind in enumerate(model.geom_type):
        if model.geom_bodyid[k] == 0 or kind not in (CAPSULE, SPHERE):
            continue
        centre, radius = np.asarray(data.geom_xpos[k]), float(model.geom_size[k][0]) * scale
        half = np.asarray(data.geom_xmat[k]).reshape(3, 3)[:, 2] * (model.geom_size[k][1] if kind == CAPSULE else 0.0)
        ends = [pixel(centre - half), pixel(centre + half)]
        colour = (38, 94, 150) if model.geom_bodyid[k] % 2 else (214, 120, 40)
        draw.line(ends, fill=colour, width=max(2, int(2 * radius)))
        for x, y in ends:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return np.asarray(image)
