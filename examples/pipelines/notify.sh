#!/bin/sh
# notify.sh VERDICT.json: posts the verdict, and why a rollout has failed, to the incoming webhook of Slack or Teams in WEBHOOK
set -eu
python3 - "$1" <<'PYTHON' | curl --fail --silent --show-error --header 'Content-Type: application/json' --data @- "$WEBHOOK"
import json, os, sys

verdict = json.load(open(sys.argv[1]))
error = verdict.get("error")
if not error:
    print(json.dumps({"text": "The rollout has succeeded."}))
    sys.exit()
workload = error.get("workload", {})
lines = [f"*{workload.get('kind', 'Rollout')} {workload.get('namespace', '')}/{workload.get('name', '')}* failed: {error['message']}"]
if error.get("log"):
    lines.append("```" + "\n".join(error["log"].splitlines()[-5:]) + "```")
if error.get("hint"):
    lines.append(f"`{error['hint']}`")
if os.environ.get("RUN_URL"):
    lines.append(os.environ["RUN_URL"])
print(json.dumps({"text": "\n".join(lines)}))
PYTHON
