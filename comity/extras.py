"""Packages that only a part of comity needs, and how to install them: by their own names, so without a checkout."""

import importlib
from types import ModuleType

EXTRAS = {  # module: (names of the packages for pip, the extra of comity that installs them; None: no extra does)
    "gymnasium": ("gymnasium pettingzoo", "interop"),
    "pettingzoo": ("gymnasium pettingzoo", "interop"),
    "mujoco": ("mujoco", "continuous"),
    "gymnasium_robotics": ("gymnasium-robotics", "continuous"),
    "pybullet": ("pybullet_envs_gymnasium", "continuous"),
    "pybullet_envs_gymnasium": ("pybullet_envs_gymnasium", "continuous"),
    "mpe2": ("mpe2", "interop"),
    "jaxmarl": ("jaxmarl", None),
    "pyarrow": ("pyarrow", "analysis"),
    "pandas": ("pandas", "analysis"),
    "safetensors": ("safetensors", "export"),
    "imageio_ffmpeg": ("imageio-ffmpeg", "video"),
    "ray": ("ray", "ray"),
    "optuna": ("optuna", "optuna"),
    "submitit": ("submitit", "slurm"),
    "tensorboardX": ("tensorboardX", "tensorboard"),
    "wandb": ("wandb", "wandb"),
    "trackio": ("trackio", "trackio"),
    "mlflow": ("mlflow", "mlflow"),
}


def needed(name: str, otherwise: str = "") -> ModuleType:
    """Imports and returns a module. Raises ImportError, one line, that says what to install.

    otherwise: what the user can do without the module.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        packages, extra = EXTRAS[name.partition(".")[0]]
        checkout = f" (in a checkout of comity: pip install '.[{extra}]')" if extra else ""
        without = f", or {otherwise}" if otherwise else ""
        raise ImportError(f"{name} is not installed: pip install {packages}{checkout}{without}") from error
