"""What of other libraries is asked for here, and how to get it."""

import importlib
from types import ModuleType


def needed(name: str) -> ModuleType:
    """The module. Raises ImportError with what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = {"jaxmarl": "jaxmarl"}.get(name, "'comity[interop]'")
        raise ImportError(f"{name} is not installed: pip install {extra}") from error
