"""Checks one rule: its expressions, its conditions, and the texts of its templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rollout_status_lib import Json
from rollout_status_lib.declarations import Rule, find_code
from rollout_status_lib.errors import suggest
from rollout_status_lib.expressions import Expression, shorten
from rollout_status_lib.interpreter import format_path
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.fields import ALWAYS
from rollout_status_lib.verbs.lint_command import check_command
from rollout_status_lib.verbs.lint_expression import Fields, Walker
from rollout_status_lib.verbs.lint_null import find_nulls
from rollout_status_lib.verbs.lint_types import ARTICLES, check_truth, gives_entry

MOST_CODES = 100  # of the codes that a template can give: so many are looked at


def lint_rule(rules: Rules, fields_of_kinds: Mapping[str, Fields], rule: Rule) -> list[str]:
    """What is wrong with a rule, each as a line with its place and a remedy."""
    try:
        found = [
            *walk_rule(Walker(rules, fields_of_kinds, rule)),
            *check_message(rules, rule),
            *check_code(rules, rule),
            *check_command(rule.hint, f"{locate(rules, rule, 'hint')}: hint"),
            *check_limit(rules, rule),
        ]
        places = {line.partition(": ")[0] for line in found}  # where something is misspelt, it is null for that
        is_teams = any(each.where.startswith(rule.teams) for each in rule.walk_expressions())
        nulls = find_nulls(rules, rule, fields_of_kinds[ALWAYS]) if is_teams else []
        return [*found, *(line for line in nulls if line.partition(": ")[0] not in places)]
    except RecursionError:
        return [f"{rule.where}: its expressions are nested too deeply, a let in a let: write fewer of them"]


def locate(rules: Rules, rule: Rule, field: str) -> str:
    """The file and the line of a field of a rule."""
    document, at = rules.files.entries["rules"][rule.id].find_place(field)
    return document.locate(at)


def walk_rule(walker: Walker) -> list[str]:
    """What is wrong with the expressions and the conditions of a rule."""
    rule = walker.rule
    for expression in rule.walk_expressions():
        if expression not in rule.let.values():
            walker.is_early = expression in (rule.when, rule.each)
            walker.walk_expression(expression)
    for condition in filter(None, (rule.when, rule.given, rule.unless, rule.fail_when)):
        for node in find_truths(condition.tree):
            walker.path = [condition]
            for problem in check_truth(node, rule.let):
                walker.report(problem, condition)
            if node["type"] in ("field", "subexpression") and "{}" in (walker.peek(node) or ()):
                path = format_path(node)
                walker.report(f"{path} may be {{}}, which is false: write {path} != null", condition)
    walker.is_early, walker.path = False, []
    for expression, problem in check_lists_and_times(walker):
        walker.report(problem, expression)
    walker.is_unused = True
    for name in sorted(rule.let.keys() - walker.reached):
        walker.walk_expression(rule.let[name])
    return walker.problems


def check_lists_and_times(walker: Walker) -> Iterator[tuple[Expression, str]]:
    """Finds an `each` that is no list, and a `since` that is no time."""
    each, since = walker.rule.each, walker.rule.since
    its_type = walker.find_type(each)
    if each and (gives_entry(each.tree) or its_type not in ("list", "")):
        remedy = ": leave out its place, as in [0]" if gives_entry(each.tree) else f", not {ARTICLES[its_type]}"
        yield each, f"each takes a list{remedy}"
    its_type = walker.find_type(since)
    if since and its_type not in ("text", ""):
        yield since, f"since takes a timestamp, not {ARTICLES[its_type]}"


def check_message(rules: Rules, rule: Rule) -> Iterator[str]:
    """Finds `{{path}}` and `${path}`, which print more than the value, or something else."""
    document, at = rules.files.entries["rules"][rule.id].find_place("message")
    parts = rule.message.parts if rule.message else ()
    for part in parts:
        if isinstance(part, str) and re.match(r"\s*\.?\w+(\.\w+)+\s*}}", part):
            name = part.partition("}")[0].strip().lstrip(".")
            yield f"{document.locate(at)}: message: {{{{ stands for a brace: write {{{name}}} for the value"
        elif isinstance(part, str) and part.endswith("$") and part is not parts[-1]:
            yield f"{document.locate(at)}: message: the $ would be printed: write {{...}} for a value"


def check_code(rules: Rules, rule: Rule) -> Iterator[str]:
    """Finds a computed code that is none: each text that its expressions can give, together with the text around them."""
    document, at = rules.files.entries["rules"][rule.id].find_place("code")
    codes = [""]
    for part in rule.code.parts if rule.code else ():
        texts = [part] if isinstance(part, str) else list(find_literals(part.tree, rule.let))
        codes = [code + text for code in codes for text in texts][:MOST_CODES]
    for name in dict.fromkeys(codes) if rule.code and len(rule.code.parts) > 1 else ():
        if name and not find_code(rules.codes, name):
            yield f"{document.locate(at)}: no code {name}{suggest(name, rules.codes)} (one of yours has a prefix, like acme/{name})"


def check_limit(rules: Rules, rule: Rule) -> Iterator[str]:
    """Finds a parameter in fail_after that is no duration."""
    limit = rule.fail_after
    if isinstance(limit, Expression):
        name = limit.text.partition(".")[2]
        param = rules.params.get(name)
        if param and param.type != "duration":
            problem = f"fail_after takes a duration, and {name} is of type {param.type}: declare one of type duration"
            yield f"{limit.where}: {problem} (in: {shorten(limit.text)})"


def find_literals(node: Json, let: Mapping[str, Expression]) -> Iterator[str]:
    """The texts that an expression can give, also through a `let`; none if it only gives what nobody knows before."""
    kind, children = node["type"], node["children"]
    if kind == "literal" and isinstance(node["value"], str):
        yield node["value"]
    elif kind == "field" and node["value"] in let:
        yield from find_literals(let[node["value"]].tree, {name: each for name, each in let.items() if name != node["value"]})
    for child in children if kind == "or_expression" else children[-1:] if kind == "and_expression" else ():
        yield from find_literals(child, let)


def find_truths(node: Json) -> Iterator[Json]:
    """The nodes whose truth decides a condition: the condition itself, or the operands of its &&, || and !."""
    if node["type"] in ("and_expression", "or_expression", "not_expression"):
        for child in node["children"]:
            yield from find_truths(child)
    else:
        yield node
