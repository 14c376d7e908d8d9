"""The interpreter of expressions: what it gives is what the library gives, and what cannot be evaluated is refused with its place."""

from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expectation, Expression
from rollout_status_lib.functions import Functions
from rollout_status_lib.interpreter import Grammar, Roots, compile_node

NAMES = ("a", "b", "c")
# JSON values, with the names that expressions read
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)


def combine(inner: Any) -> Any:
    """Expressions made of smaller ones. Those in which we differ are left out: ordering, `!` before a path, and null in functions."""
    return st.one_of(
        st.builds("{}.{}".format, inner, st.sampled_from(NAMES)),
        st.builds("{}[{}]".format, inner, st.sampled_from(["0", "-1", "*", "1:", "::2", ""])),
        st.builds("{} | {}".format, inner, inner),
        st.builds("{}[?{} == {}]".format, inner, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("(!({}))".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{x: {}}}".format, inner),
        st.builds("{} != {}".format, inner, inner),
        st.builds("{}.*".format, inner),
        st.builds("to_string({})".format, inner),
        st.builds("type({})".format, inner),
        st.builds("not_null({}, {})".format, inner, inner),
    )


EXPRESSIONS = st.recursive(st.sampled_from([*NAMES, "@", "`1`", "'x'", "`null`", "`[]`"]), combine, max_leaves=6)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(text=EXPRESSIONS, value=VALUES)
def test_random_expressions_give_what_the_library_gives(text: str, value: Any) -> None:
    try:
        wanted = jmespath.search(text, value)
    except jmespath.exceptions.JMESPathError:
        with pytest.raises(RolloutError):
            Expression.parse(text, "here").evaluate(value, Functions(0.0))
        return
    assert Expression.parse(text, "here").evaluate(value, Functions(0.0)) == wanted


@pytest.mark.parametrize("text", ["foo[8:2:0]", "merge(foo, null)", "(" * 500 + "foo" + ")" * 500, "to_number(`[1]`)[0].x + 1", "foo[::0]"])
def test_what_raises_in_python_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(RolloutError, match=r"^team.yaml:3: when: ") as refused:
        Expression.parse(text, "team.yaml:3: when").evaluate({"foo": [1, 2]}, Functions(0.0))
    assert refused.value.code == "invalid-rules"


def test_an_expectation_that_cannot_be_evaluated_is_the_callers() -> None:
    parsed = Expression.parse("foo[::0]", "--expect")
    with pytest.raises(RolloutError, match="slice step cannot be zero") as refused:
        Expectation("foo[::0]", "--expect", parsed.tree, parsed.function, parsed.roots).evaluate({"foo": [1]}, Functions(0.0))
    assert refused.value.code == "usage"


def test_roots_that_say_not_how_they_are_looked_up_give_no_null() -> None:
    with pytest.raises(NotImplementedError):
        compile_node(Grammar().parse("pod.metadata").parsed)(Roots(), Functions(0.0))
