"""Expressions and templates, with errors that say what to write instead."""

from __future__ import annotations

import functools
import json
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jmespath.exceptions

from rollout_status_lib import Json
from rollout_status_lib.errors import EvaluationError, RolloutError
from rollout_status_lib.functions import Functions, OrderError, is_true
from rollout_status_lib.interpreter import Evaluate, Grammar, RootError, compile_node, find_roots, measure_growth
from rollout_status_lib.kept import KEPT
from rollout_status_lib.slips import describe_place, find_slip
from rollout_status_lib.values import format_value

LONGEST_QUOTE = 300  # characters of an expression in a message

# What parsing or evaluating an expression may raise, in jmespath or in Python: `foo[8:2:0]`, `merge(x, null)`, 500 parentheses
FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)  # JMESPathError is a ValueError


# What is wrong with the file and not with what is there: a root that is none, a wrong number of arguments, too many parentheses
MISTAKES = (RootError, jmespath.exceptions.ArityError, RecursionError)


def describe_fault(error: Exception) -> str:
    """What is wrong with an expression, as one line, without the words of Python."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, jmespath.exceptions.JMESPathTypeError):
        taken = " or ".join(TYPES.get(each.partition("-")[0], each) for each in error.expected_types)
        value = "null" if error.actual_type == "null" else shorten(json.dumps(error.current_value, default=lambda _: "what is there"))
        return f"{error.function_name}() takes {taken}, not {value}"
    return " ".join(str(error).split()) if isinstance(error, ValueError) else "its values are not of the kinds that it takes"


TYPES = {"array": "a list", "object": "an object", "string": "a text", "number": "a number", "boolean": "true or false", "expref": "an &"}


def shorten(text: str) -> str:
    """An expression as a message quotes it."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def refuse_meaningless(node: Json, *, is_argument: bool = False) -> None:
    """JMESPathError for what has no value that could be shown or compared: an & that no function takes, and a number that is none."""
    if node["type"] == "expref" and not is_argument:
        raise MeaninglessError("an & stands only before an argument of sort_by(), max_by(), min_by() and map()")
    if node["type"] == "literal" and not is_finite(node["value"]):
        raise MeaninglessError("NaN, Infinity and numbers as large as 1e999 are no numbers here")
    is_call = node["type"] == "function_expression" and node["value"] in Functions.FUNCTION_TABLE
    takes = [each["types"] for each in Functions.FUNCTION_TABLE[node["value"]]["signature"]] if is_call else []
    for index, child in enumerate(node["children"]):
        if isinstance(child, dict):
            refuse_meaningless(child, is_argument=index < len(takes) and any("expref" in each for each in takes[index]))


def is_finite(value: Json) -> bool:
    """True if all numbers in a value are some."""
    if isinstance(value, float):
        return math.isfinite(value)
    return all(map(is_finite, value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))


class MeaninglessError(jmespath.exceptions.JMESPathError):
    """An expression that can be parsed, and means nothing."""


MOST_COPIES = 1_000  # of a value, in what an expression makes of it; those of our rules make 25
GROWS = f"it can make more than {MOST_COPIES:,} copies of a value, as [a, a] | [@, @] | [@, @] doubles them: write fewer of those"


@functools.lru_cache(4096)  # many rules have the same ones
def compile_expression(text: str, *, is_kept: bool = False) -> tuple[Json, Evaluate, frozenset[str]]:
    """The tree of an expression, its function, and the roots that it reads. JMESPathError when it is wrong."""
    tree = KEPT.find(text, lambda: parse_expression(text)) if is_kept else parse_expression(text)
    return tree, compile_node(tree), frozenset(find_roots(tree))


def parse_expression(text: str) -> Json:
    """The tree of an expression that means something. JMESPathError when it is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of a text in backticks: lint says it
        tree = Grammar().parse(text).parsed
    refuse_meaningless(tree)
    if ("[" in text or "{" in text) and measure_growth(tree) > MOST_COPIES:
        raise MeaninglessError(GROWS)
    return tree


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A JMESPath expression. `where` is the file, the line and the rule that it is written in, for errors."""

    text: str
    where: str
    tree: Json
    function: Evaluate  # from a scope to the value
    roots: frozenset[str]  # the names that it reads at its root

    @staticmethod
    def parse(text: str, where: str) -> Expression:
        """The expression in a text. RolloutError `invalid-rules` when it cannot be parsed or calls an unknown function."""
        try:
            return Expression(text, where, *compile_expression(text, is_kept=where.startswith("rules/")))
        except (jmespath.exceptions.UnknownFunctionError, MeaninglessError) as error:
            problem = str(error)
        except jmespath.exceptions.JMESPathError as error:
            problem = find_slip(text) or (describe_place(error) if text.strip() else "it is empty: write an expression")
        except FAULTS as error:
            problem = describe_fault(error)
        raise RolloutError("invalid-rules", f"{where}: {problem} (in: {shorten(text)})")

    def evaluate(self, scope: Json, functions: Functions) -> Json:
        """Its value for a scope (JSON, or Roots). EvaluationError when it has none."""
        try:
            return self.function(scope, functions)
        except MISTAKES as error:
            raise RolloutError("invalid-rules", f"{self.where}: {describe_fault(error)} (in: {shorten(self.text)})") from None
        except FAULTS as error:
            raise EvaluationError(self.where, f"{describe_fault(error)} (in: {shorten(self.text)})") from None


class Expectation(Expression):
    """True as long as an expression of --expect is not. Values that have no order are not there yet; in a rule file they are an error."""

    __slots__ = ()

    def evaluate(self, scope: Json, functions: Functions) -> Json:
        try:
            return not is_true(self.function(scope, functions))
        except OrderError:
            return True
        except FAULTS as error:
            raise RolloutError("usage", f"{self.where}: {describe_fault(error)} (in: {shorten(self.text)})") from None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A text with `{expression}` in it. `{{` stands for a brace, and null prints as nothing."""

    parts: tuple[str | Expression, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Template:
        """The template in a text. RolloutError `invalid-rules` when one of its expressions is wrong."""
        parts: list[str | Expression] = []
        rest = text
        while "{" in rest:
            before, _, rest = rest.partition("{")
            if rest.startswith("{"):
                parts, rest = [*parts, before + "{"], rest[1:]
            else:
                expression, rest = Template.take_expression(rest, where)
                parts += [before, expression]
        return cls((*parts, rest))

    @staticmethod
    def take_expression(text: str, where: str) -> tuple[Expression, str]:
        """The expression at the beginning of a text, and the text after its brace: the first brace before which all is complete."""
        problem = None
        for brace in re.finditer("}", text):
            try:
                return Expression.parse(text[: brace.start()], where), text[brace.end() :]
            except RolloutError as error:
                problem = problem or error
        raise problem or RolloutError("invalid-rules", f"{where}: a {{ has no }} after it; write {{{{ for a brace")

    def fill(self, value: Callable[[Expression], Json]) -> str:
        """The text, with the value of each expression, as the function `value` gives it."""
        return "".join(part if isinstance(part, str) else format_value(value(part)) for part in self.parts)
