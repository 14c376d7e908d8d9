"""The verb completion: completion by the shells, and by kubectl for its plugin.

    rollout-status completion bash|zsh|fish     prints the script that the shell reads when it starts
    rollout-status completion -- WORD ...       prints the candidates for the last word; the others stand before it

The candidates are printed like those of kubectl's own commands: a line for each, a tab and a description after it, and a last
line `:NUMBER`, a sum of NO_SPACE and NO_FILES. kubectl runs `kubectl_complete-rollout_status`, which prints the same. Names
come from `kubectl get`; if that fails, there are no names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from rollout_status_lib import find_data
from rollout_status_lib.arguments import build_parser, describe_exits
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.rules import Rules
from rollout_status_lib.sources.kubectl import Kubectl
from rollout_status_lib.verbs import Engine, run_verb
from rollout_status_start import VERBS

NO_SPACE, NO_FILES = 2, 4  # the shell adds no space after the word, and does not complete it as a file name
SPECIAL = re.compile(r"[^\w@%+:,./=-]")  # a candidate with such a character would need quotes, and is left out
PATHS = ("DIR", "FILE", "PATH")  # what flags call their values if these are file names
TIMEOUT = "3s"  # for a call of kubectl, while somebody waits at a prompt

BASH = """\
# bash: source <(rollout-status completion bash)
_rollout_status() {
  local line=${COMP_LINE:0:COMP_POINT} candidate rest number=0 said=() words=()
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=("")
  local word=${words[${#words[@]}-1]}
  local before=${word%"${word##*[:=]}"}  # bash itself takes : and = for the end of a word
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate rest; do said+=("$candidate"); done < <("${words[0]}" completion -- "${words[@]:1}" 2>/dev/null)
  for candidate in "${said[@]}"; do
    case $candidate in :*) number=${candidate#:} ;; *) COMPREPLY+=("${candidate#"$before"}") ;; esac
  done
  ((number & 2)) && compopt -o nospace
  ((number & 4)) || compopt -o default
}
complete -F _rollout_status rollout-status
"""

ZSH = """\
#compdef rollout-status
# zsh: source <(rollout-status completion zsh), or a file _rollout-status in $fpath
_rollout_status() {
  local line number=0 tab=$'\\t'
  local -a candidates shown space
  for line in "${(@f)$("${(Q)words[1]}" completion -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :* ]]; then
      number=${line#:}
    elif [[ -n $line ]]; then
      candidates+=("${line%%$tab*}")
      shown+=("${line/$tab/  -- }")
    fi
  done
  ((number & 2)) && space=(-S '')
  compadd -l "${space[@]}" -d shown -a candidates
  ((number & 4)) || _files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _rollout_status "$@"; else compdef _rollout_status rollout-status; fi
"""

FISH = """\
# fish: rollout-status completion fish | source
function __rollout_status
    set -l words (commandline -opc) (commandline -ct)
    set -l said ($words[1] completion -- $words[2..-1] 2>/dev/null)
    for line in $said
        string match -q ':*' -- $line; or echo $line
    end
    test "$said[-1]" = :0; and __fish_complete_path (commandline -ct)
end
complete -c rollout-status -f -a '(__rollout_status)'
"""

SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class Completion:
    """The candidates for the last of the words on a command line."""

    def __init__(self, words: Sequence[str]) -> None:
        self.flags = build_parser().flags()
        self.word = words[-1] if words else ""
        self.settings: dict[str, str] = {}  # the values of flags before it
        self.flag: Any = None  # the flag whose value it is
        self.is_first = True  # only flags stand before it
        for token in words[:-1]:
            name, equals, value = token.lstrip("-").partition("=")
            if self.flag:
                self.settings[self.flag.dest], self.flag = token, None
            elif not token.startswith("-"):
                self.is_first = False
            elif name in self.flags and self.flags[name][1].nargs != 0:
                if equals:
                    self.settings[self.flags[name][1].dest] = value
                else:
                    self.flag = self.flags[name][1]

    def render(self) -> str:
        """The candidates and the number, as kubectl's commands print them."""
        prefix = ""
        before, equals, value = self.word.partition("=")
        if not self.flag and self.word.startswith("-") and equals and before.lstrip("-") in self.flags:
            self.flag, self.word, prefix = self.flags[before.lstrip("-")][1], value, f"{before}="
        candidates = sorted({prefix + each: text for each, text in self.list_candidates() if each.startswith(self.word)}.items())
        lines = [f"{each}\t{text}".rstrip() for each, text in candidates if not SPECIAL.search(each)]
        number = 0 if self.flag and self.flag.metavar in PATHS and not prefix else NO_FILES
        number |= NO_SPACE if candidates and all(each.endswith("/") for each, _ in candidates) else 0
        return "\n".join([*lines, f":{number}"])

    def list_candidates(self) -> Iterable[tuple[str, str]]:
        """What may stand in the word's place, each with a description."""
        if self.flag:
            return self.list_values()
        if self.word.startswith("-"):
            return [(flag, action.help or "") for flag, action in self.flags.values()]
        if "/" in self.word:
            return self.list_names()
        verbs = (*VERBS, "demo") if self.is_first else ()
        return [*self.list_kinds("/"), *((verb, "a verb: it has --help") for verb in verbs)]

    def list_values(self) -> Iterator[tuple[str, str]]:
        """The values that the flag may have."""
        words = self.flag.choices or (self.flag.metavar.split("|") if "|" in self.flag.metavar else ())
        yield from ((word, "") for word in words)
        if self.flag.dest == "kinds":
            before = self.word[: self.word.rfind(",") + 1]
            yield from ((before + kind, text) for kind, text in self.list_kinds())
        elif self.flag.dest == "namespace":
            yield from ((line.partition("/")[2], "") for line in self.ask_kubectl("get", "namespaces", "-o", "name"))
        elif self.flag.dest == "context":
            yield from ((line, "") for line in self.ask_kubectl("config", "get-contexts", "-o", "name"))

    def list_kinds(self, end: str = "") -> list[tuple[str, str]]:
        """The kinds that rule files declare; none if a file is wrong."""
        with suppress(RolloutError):
            rules = Rules(find_data("rules"), packs=None)
            return [(kind.name + end, kind.resource) for kind in rules.kinds.values() if kind.listed and kind.resource not in ("", "*")]
        return []

    def list_names(self) -> Iterator[tuple[str, str]]:
        """The objects of the kind before the slash."""
        word = self.word.partition("/")[0]
        with suppress(RolloutError):
            kind = Rules(find_data("rules"), packs=None).find_kind_by_word(word)
            space = [f"--namespace={self.settings['namespace']}"] if "namespace" in self.settings else []
            for line in self.ask_kubectl("get", kind.resource, *space, "-o", "name"):
                yield f"{word}/{line.partition('/')[2]}", ""

    def ask_kubectl(self, *call: str) -> list[str]:
        """The lines that kubectl prints; none if it fails."""
        common = {name: self.settings[name] for name in ("context", "kubeconfig", "kubectl") if name in self.settings}
        with suppress(RolloutError):
            options = build_parser().parse([f"--request-timeout={TIMEOUT}", *(f"--{name}={value}" for name, value in common.items())])
            answer = Kubectl(options).run(call)[0]
            return answer.stdout.splitlines() if answer.exit == 0 else []
        return []


def main(argv: Sequence[str], _: Engine) -> tuple[str, int]:
    """Prints the script for a shell, or the candidates for a word."""
    return run_verb("completion", lambda: complete(argv))


def complete(argv: Sequence[str]) -> tuple[str, int]:
    """The script for a shell, or the candidates for a word. RolloutError `usage` for another shell."""
    if argv in (["-h"], ["-help"], ["--help"]):
        usage = "usage: rollout-status completion bash|zsh|fish\n\nPrints what the shell reads: source <(rollout-status completion bash)"
        return f"{usage}\n\n{describe_exits('it is printed')}", 0
    if argv[:1] == ["--"]:
        return Completion(argv[1:]).render(), 0
    if len(argv) != 1 or argv[0] not in SHELLS:
        raise RolloutError("usage", "write completion bash, completion zsh or completion fish")
    return SHELLS[argv[0]].rstrip("\n"), 0


def complete_kubectl() -> int:
    """Prints the candidates for a word; kubectl runs this as kubectl_complete-rollout_status."""
    print(Completion(sys.argv[1:]).render())
    return 0
