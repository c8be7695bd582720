"""All tests share one persistent compilation cache, so that a program is compiled once; compilation is fast."""

import gc
import itertools
import os
import sys
import tempfile

if sys.dont_write_bytecode:  # then every process that a test starts would compile jax and comity from their sources
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.path.join(tempfile.gettempdir(), f"comity-tests-bytecode-{os.getuid()}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix  # not beside the sources, as the user asked

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"comity-tests-{os.getuid()}"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("COMITY_PROGRAMS", "")  # tests replace parts of programs, which kept ones would not know
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from jax._src.interpreters import mlir
from jaxtyping import install_import_hook

from tests.tiny import limits

gc.set_threshold(50_000, 20, 50)  # a tenth of what tracing takes is collecting what is not garbage


def one_context_for_many_programs() -> None:
    """jax makes an MLIR context for each program, which takes 4 ms; a fifth of all tests' time went there."""
    new, uses, held = mlir.make_ir_context, itertools.count(), []

    def context():
        if next(uses) % 500 == 0:  # what a context has read stays in it
            held[:] = [new()]
        return held[0]

    mlir.make_ir_context = context


if hasattr(mlir, "make_ir_context"):  # jax's own affair
    one_context_for_many_programs()

# Shapes and dtypes in the signatures of `learning` are checked at every call that a test makes or traces.
install_import_hook("comity.learning", "beartype.beartype")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    yield
    limits.forget_programs()


@pytest.fixture(autouse=True)
def environment_as_before():
    """`comity resume` sets a variable of its process (NPROC), on which the float bits of later runs depend."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)
