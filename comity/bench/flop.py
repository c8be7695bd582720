"""Counts the floating-point operations of the matrix products in a traced program."""

from typing import Any

from jax.interpreters import partial_eval


def of_program(closed: Any) -> float:
    """Counts 2 operations per multiply-add of each `dot_general` of a jaxpr, without dead code.

    The body of a `scan` counts as often as it runs, a `while` counts once, and of a branch the larger side counts once.
    All other work (gates, a game, replay, sampling, an optimizer) counts nothing.
    """
    used, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return of(used)


def of(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            terms = 2.0
            for axis in contracted:
                terms *= equation.invars[0].aval.shape[axis]
            for size in equation.outvars[0].aval.shape:
                terms *= size
            total += terms
            continue
        inner = [of(x) for x in inside(equation.params)]
        if equation.primitive.name == "cond":
            total += max(inner)
        else:
            total += sum(inner) * (equation.params["length"] if equation.primitive.name == "scan" else 1)
    return total


def inside(params: dict[str, Any]) -> list[Any]:
    """Returns the jaxprs among an equation's parameters: of a loop, a branch, a function call."""
    values = [x for value in params.values() for x in (value if isinstance(value, (tuple, list)) else (value,))]
    return [jaxpr for x in values if hasattr(jaxpr := getattr(x, "jaxpr", x), "eqns")]
