#!/bin/sh
# notify.sh VERDICT.json: posts the verdict to the incoming webhook in WEBHOOK, of Slack or of a Teams workflow. RUN_URL is a link to add.
set -eu
python3 - "$1" <<'PYTHON' | curl --fail --silent --show-error --header 'Content-Type: application/json' --data @- "$WEBHOOK"
import json, os, sys

verdict = json.load(open(sys.argv[1]))
error, link = verdict.get("error"), os.environ.get("RUN_URL")
if error:
    of = error.get("workload", {})
    name = f"{of['kind']} {of.get('namespace', '')}/{of['name']}" if of else "The rollout"
    title, code = f"{name} failed: {error.get('summary', error['message'])}", [error.get("hint", "")]
    code += ["\n".join(error.get("log", "").splitlines()[-5:])]
else:
    title, code = "The rollout succeeded.", []
code = [text for text in code if text]
if "hooks.slack.com" in os.environ["WEBHOOK"]:
    message = {"text": "\n".join([title, *(f"```{text}```" for text in code), *filter(None, [link])])}
else:
    blocks = [{"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}]
    blocks += [{"type": "TextBlock", "text": text, "fontType": "Monospace", "wrap": True} for text in code]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
    card |= {"actions": [{"type": "Action.OpenUrl", "title": "The job", "url": link}]} if link else {}
    message = {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]}
print(json.dumps(message))
PYTHON
