"""Runs the public JMESPath compliance suite against our interpreter: `make compliance SUITE=DIR`, with the suite's JSON files in DIR.

Each case must give what the suite says, but for the differences that are meant, which are named below. One that is named and
does not differ is a failure too.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.functions import Functions

ORDER = "ordering what cannot be ordered is an error here, since null would silently be no match"
# (file, expression) -> why it is meant
MEANT = {
    ("boolean.json", "emptylist < one"): ORDER,
    ("boolean.json", "emptylist < nullvalue"): ORDER,
    ("boolean.json", "emptylist < boolvalue"): ORDER,
    ("boolean.json", "one < boolvalue"): ORDER,
}


def get_answer(expression: str, given: Any) -> Any:
    """What our interpreter gives; the word `error` when it refuses the expression, or to evaluate it."""
    try:
        return {"result": Expression.parse(expression, "suite").evaluate(given, Functions(0.0))}
    except RolloutError:
        return "error"


def main(folder: Path) -> int:
    """Prints each case that differs, and the counts; 1 if one differs that is not meant, or the other way round."""
    counts = {"passed": 0, "failed": 0}
    met = set()
    for path in sorted(folder.glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            for case in group["cases"]:
                if "bench" in case and "result" not in case and "error" not in case:
                    continue
                wanted = "error" if "error" in case else {"result": case["result"]}
                answer = get_answer(case["expression"], group["given"])
                where = (path.name, case["expression"])
                is_same = json.dumps(answer, sort_keys=True) == json.dumps(wanted, sort_keys=True)
                met |= set() if is_same else {where}
                fine = is_same != (where in MEANT)
                counts["passed" if fine else "failed"] += 1
                if not fine:
                    print(f"{path.name}: {case['expression']}: {json.dumps(answer)[:80]}, not {json.dumps(wanted)[:80]}")
    for where in sorted(MEANT.keys() - met):
        counts["failed"] += 1
        print(f"{': '.join(where)}: is meant to differ, and does not")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return int(bool(counts["failed"] or not counts["passed"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
