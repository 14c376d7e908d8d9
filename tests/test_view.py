"""What a CI's log and a terminal show: --ci, the step summary, and the picture, here without a terminal or in a bare one."""

import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
from contextlib import redirect_stdout
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
import yaml
from conftest import FIXTURES, ROOT, Outcome, environment, run, snapshot

import rollout_status
from rollout_status_lib.findings import Judgement
from rollout_status_lib.views.ci import CAUSES, SUMMARY, SUMMARY_LOG, Github, escape_data, escape_property
from rollout_status_lib.views.rows import Below, Row, make_rows
from rollout_status_lib.views.terminal import Terminal, format_age

CRASH = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1")
LOG = """::error::no error of ours
  ::set-env name=PATH::x
\u2003::endgroup::
##[group]x ###[error]y ##vso[task.complete]
::stop-commands::x
100%0A::error::z\r::error::w
section_end:1:rollout-status\r\x1b[0K
\x1b[0Ksection_start:1:x[collapsed=true]\r\x1b[0Kx
"""


def nasty(folder: Path) -> tuple[str, ...]:
    """A crash loop whose log and whose message are full of commands; the arguments of its replay."""
    for path in (FIXTURES / "deployment/crash-loop").glob("*.json"):
        text = path.read_text().replace("back-off", "\\n::warning::back-off").replace('"Error"', '"Error\\n::error::r"')
        (folder / path.name).write_text(text)
    recording = yaml.safe_load((FIXTURES / "deployment/crash-loop/recording.yaml").read_text())
    recording["logs"] = dict.fromkeys(recording["logs"], LOG)
    recording = json.loads(json.dumps(recording, default=lambda moment: moment.isoformat().replace("+00:00", "Z")))
    (folder / "recording.yaml").write_text(json.dumps(recording))
    return ("--replay", str(folder), *CRASH[2:])


def commands_in(text: str) -> list[tuple[str, str, str]]:
    """Name, properties and data of each command that GitHub's runner finds: it trims lines, takes ::name properties::data, and
    ##[name]data anywhere in a line."""
    found = []
    for line in re.split("\r\n|\n|\r", text):
        assert not re.search(r"##(vso)?\[", line), line
        if line.strip().startswith("::"):
            head, _, data = line.strip()[2:].partition("::")
            name, _, properties = head.partition(" ")
            for code, letter in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
                properties = properties.replace(code, letter)
                data = data if code in ("%3A", "%2C") else data.replace(code, letter)
            found.append((name, properties, data))
    return found


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The summary of a step of GitHub, to which something has been written before."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("# Before\n")
    return tmp_path / "summary.md"


# ------------------------------------------------------------------------------------------------------------- GitHub


def test_github_has_an_annotation_a_group_and_a_summary(step: Path) -> None:
    outcome = run(*CRASH)
    error, *rest = commands_in(outcome.stderr)
    assert error[:2] == ("error", "title=process-crashing of Deployment/r-deployment-crash-loop/app")
    summary, hint, place, *details = error[2].split("\n")
    assert summary == f"cause: {outcome.error['summary']} (process-crashing, since the run began)"
    told = [f"  {detail}" for detail in (*outcome.error["details"], outcome.error["message"], "nothing serves")]
    assert details == [*told, "  log:", *(f"    | {line}" for line in outcome.error["log"].splitlines()[-5:])]
    assert place == f"  in: {'/'.join(outcome.error['resource'].values())}"
    assert hint == f"  next: {outcome.error['hint']}"
    assert rest == []  # the log is short
    text = step.read_text()
    assert text.startswith(
        "# Before\n\n## ❌ The rollout failed after 15s: Deployment/app in r-deployment-crash-loop; nothing serves\n\n### cause: "
    )
    for words in ("| ✖ failed | Deployment/app |", "(process-crashing, since the run began)", "FATAL: cannot connect to database db:5432"):
        assert words in text


def test_the_result_and_the_progress_are_those_of_a_run_without_a_ci(step: Path) -> None:
    usual = run(*CRASH, "--ci", "none")
    assert step.read_text() == "# Before\n"
    assert commands_in(usual.stderr) == []
    for ci in ("github", "gitlab"):
        outcome = run(*CRASH, "--ci", ci)
        assert (outcome.exit, outcome.stdout) == (usual.exit, usual.stdout)
        assert usual.stderr[: usual.stderr.index("The rollout failed")] in outcome.stderr
    assert run(*CRASH, "--ci", "other").exit == 2


def test_nothing_of_the_cluster_is_a_command_of_github(step: Path, tmp_path: Path) -> None:
    (tmp_path / "nasty").mkdir()
    arguments = nasty(tmp_path / "nasty")
    for more in ((), ("-o", "text")):
        outcome = run(*arguments, *more)
        assert [name for name, _, _ in commands_in(outcome.stderr + outcome.stdout)] == ["error", "group", "endgroup"]
        assert "| 100%0A::error::z" in outcome.stderr
        assert "\x1b" not in outcome.stderr
    assert not re.search("^(::|##)[a-z[]", step.read_text().replace("## ❌", ""), re.MULTILINE) or "```" in step.read_text()


def test_what_is_in_a_command_is_escaped() -> None:
    """As the toolkit of GitHub does it: packages/core/src/command.ts."""
    assert escape_data("5%\r\na:b,c") == "5%25%0D%0Aa:b,c"
    assert escape_property("5%\r\na:b,c") == "5%25%0D%0Aa%3Ab%2Cc"


def test_a_success_has_no_annotation(step: Path) -> None:
    outcome = run("--replay", str(FIXTURES / "deployment/success"))
    assert commands_in(outcome.stderr) == []
    assert "\nThe rollout succeeded after 2.8s: Deployment/web in r-deployment-success\n" in outcome.stderr
    assert "## ✅ The rollout succeeded after 2.8s: Deployment/web in r-deployment-success" in step.read_text()


def test_quiet_is_silent_and_leaves_the_summary(step: Path) -> None:
    assert run(*CRASH, "--quiet").stderr == ""
    assert "### cause: Container" in step.read_text()
    assert run(*CRASH, "--quiet", "--ci", "gitlab").stderr == ""


@pytest.mark.parametrize("ended", [("--nonsense", 2, False), ("--set=nope=1", 2, True)], ids=["a flag", "a parameter"])
def test_what_is_wrong_before_anything_is_polled(step: Path, ended: tuple[str, int, bool]) -> None:
    """A flag that is wrong says nothing of the CI; everything later is marked."""
    argument, code, marked = ended
    outcome = run(*CRASH, argument)
    assert (outcome.exit, [name for name, _, _ in commands_in(outcome.stderr)]) == (code, ["error"] * marked)


def test_a_summary_that_cannot_be_written_is_a_note(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step.parent))
    outcome = run(*CRASH)
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert "the step summary could not be written" in outcome.result["notes"][-1]
    assert "rollout-status: the step summary could not be written" in outcome.stderr


def test_a_summary_without_room_is_a_note_and_stays_as_it_is(step: Path) -> None:
    step.write_text("x" * (SUMMARY - 100))
    assert "no room" in run(*CRASH).result["notes"][-1]
    assert step.stat().st_size == SUMMARY - 100


def test_a_ci_without_a_summary(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert "notes" not in run(*CRASH).result


def result_of(**more: object) -> dict[str, object]:
    """A result with all that one can have."""
    workload = {"kind": "Deployment", "namespace": "shop", "name": "web"}
    cause = {
        "code": "not-progressing", "type": "rollout", "message": "is stuck", "workload": workload, "resource": workload, "count": 3,
        "log": "a\x1b[31m\tb\n" * 4000,
        "events": [{"reason": "Back", "message": "Off", "count": 4, "lastSeen": "2026-11-23T06:37:44Z"}, {"reason": "R", "message": "M", "count": 1, "lastSeen": None}],
        "hint": "kubectl get x",
    }  # fmt: skip
    entry = {**workload, "status": "failed", "message": "is stuck", "changes": ["image a -> b"], "rollback": "kubectl rollout undo"}
    return {
        "success": False,
        "error": cause,
        "errors": [cause] * 11,
        "workloads": [entry],
        "notes": ["a note"],
        "elapsedSeconds": 61.5,
        "polls": 4,
        **more,
    }


def test_events_and_what_changed_are_folded_and_few_causes_are_told(step: Path) -> None:
    stream, result = io.StringIO(), result_of()
    assert Github(stream, quiet=False).conclude(result) == []
    text = stream.getvalue()
    for words in (
        "::error title=not-progressing of Deployment/shop/web::cause: is stuck (not-progressing)%0A  next: kubectl get x%0A  in: Deployment/shop/web and 2 more like it%0A  log:%0A    | ",
        "::group::events about Deployment/shop/web and 2 more like it\n| 4x Back: Off (last seen 2026-11-23T06:37:44Z)\n| 1x R: M\n::endgroup::\n",
        "::group::changed in Deployment/web\n| image a -> b\n| roll back: kubectl rollout undo\n::endgroup::\n",
        "... and 2 more causes, which the result has\n",
        "\n| a       b\n",
    ):
        assert words in text
    assert [name for name, _, _ in commands_in(text)].count("error") == CAUSES
    assert result == result_of(), "the result itself stays as it is"
    assert len(step.read_bytes()) < 13 * 2 * SUMMARY_LOG


# ------------------------------------------------------------------------------------------------------------- GitLab

# lib/gitlab/regex.rb, build_trace_section_regex
SECTION = re.compile(r"section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[[^\]]*\])?\r\x1b\[0K")


def test_gitlab_has_sections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    stderr = run(*nasty(tmp_path)).stderr
    found = SECTION.findall(stderr)
    assert [(what, options) for what, _, _, options in found] == [("start", ""), ("end", ""), ("start", "[collapsed=true]"), ("end", "")]
    names = [name for _, _, name, _ in found]
    assert names[::2] == names[1::2]
    assert len(set(names)) == 2
    assert all(1.7e9 < int(at) < 4e9 for _, at, _, _ in found)
    rest = SECTION.sub("", stderr.replace("\x1b[0Ksection", "section"))
    assert not {"\x1b", "\r"} & {*rest}
    open_, cause, folded = re.split(r"\[   0s\]|cause: ", stderr, maxsplit=2)
    assert open_.endswith("The rollout\n")
    assert "  next: kubectl -n r-deployment-crash-loop logs" in cause + folded
    assert "\n| : :error::no error of ours\n" in folded


def test_a_run_that_never_begins_has_no_section() -> None:
    outcome = run(*CRASH, "--set", "nope=1", "--ci", "gitlab")
    assert (outcome.exit, SECTION.findall(outcome.stderr)) == (2, [])
    assert "could not be judged\ncause: unknown parameter nope" in outcome.stderr


# ----------------------------------------------------------------------------------------------- without a view


@pytest.mark.parametrize(
    ("arguments", "imported"),
    [((), []), (("-o", "text"), []), (("--ci", "github"), ["rollout_status_lib.reports", "rollout_status_lib.views.ci"])],
)
def test_a_run_in_a_pipe_imports_nothing_for_it(arguments: tuple[str, ...], imported: list[str]) -> None:
    program = (
        "import sys, rollout_status as r; r.main(sys.argv[1:]); "
        "print([n for n in ('rich', 'rollout_status_lib.reports', 'rollout_status_lib.verbs', 'rollout_status_lib.views.ci', 'rollout_status_lib.views.terminal') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *CRASH, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stderr.endswith(f"{imported}\n")


@pytest.mark.parametrize(("closed", "printed"), [("2>&-", True), (">&-", False), (">&- 2>&-", False)])
def test_what_is_closed_from_the_beginning_takes_nothing_with_it(closed: str, printed: bool) -> None:
    """Python has no stream then, and print() would take stdout for stderr."""
    command = f'"$@" {closed}'
    done = subprocess.run(
        ["bash", "-c", command, "-", sys.executable, str(ROOT / "rollout_status.py"), *CRASH], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert (done.stdout != b"") == printed
    assert not printed or json.loads(done.stdout)["error"]["code"] == "process-crashing"


# ------------------------------------------------------------------------------------------------------------ pictures


def terminal(*rows: Row) -> Terminal:
    view = Terminal(io.StringIO(), quiet=False)
    view.rows, view.at, view.started = rows, 1000.0, 900.0
    view.over.set()  # time stands still
    return view


def picture(view: Terminal, width: int, height: int) -> list[str]:
    found = [line.plain for line in view.make_picture(width, height)]
    assert len(found) <= height
    assert all(line.cell_len <= width for line in view.make_picture(width, height))
    return found


def judged(*arguments: str) -> Judgement:
    """The last judgement of a replay."""
    return rollout_status.run_to_end([*arguments, "--quiet"]).judgement


def test_a_row_has_all_in_a_wide_window_and_what_matters_in_a_narrow_one() -> None:
    below = Below("failed", "web-1/main", 2, 990.0, "")
    view = terminal(Row("failed", "deployment/web", (1, 4), 700.0, "Container crashes", (below,)))
    pod = "    ✖ web-1/main and 2 more  10s"
    assert picture(view, 140, 9) == [
        "rollout-status  100s  1 failed",
        "✖ failed   deployment/web  ██░░░░░░░░    1/4    5m  Container crashes",
        pod,
    ]
    assert picture(view, 80, 9) == [
        "rollout-status  100s  1 failed", "✖ failed   deployment/web  ██░░░░░░░░    1/4    5m", "    Container crashes", pod,
    ]  # fmt: skip
    assert picture(view, 60, 9)[1] == "✖ failed   deployment/web      1/4    5m"
    assert picture(view, 38, 9)[1] == "✖ deployment/web      1/4    5m"
    assert picture(view, 28, 9)[1] == "✖ deployment…      1/4    5m"
    assert picture(view, 12, 9)[2] == "    Contain…"
    assert picture(view, 1, 1) == ["…"]


def test_many_workloads_in_a_small_window() -> None:
    """Failed ones first, then those that wait; the others are counted."""
    rows = [Row(status, f"deployment/{status}-{n}", None, 0.0, "text", ()) for status, count in (("failed", 1), ("waiting", 9), ("ready", 190)) for n in range(count)]  # fmt: skip
    found = picture(terminal(*rows), 150, 12)
    assert len(found) == 12
    assert found[1].startswith("✖ failed")
    assert found[-1] == "… and 190 more: 190 ready"
    assert picture(terminal(*rows), 150, 5)[-1] == "… and 197 more: 7 waiting, 190 ready"
    assert len(picture(terminal(*rows), 150, 300)) == 201


def test_pods_beneath_are_few_and_of_every_cause() -> None:
    below = tuple(Below("waiting", f"web-{n}", 0, 0.0, f"says {n}") for n in range(5))
    found = picture(terminal(Row("waiting", "deployment/web", None, 0.0, "text", below)), 150, 12)
    assert found[2:] == ["    … web-0    says 0", "    … web-1    says 1", "    … web-2    says 2", "    … and 2 more that are not well"]


def test_rows_of_a_judgement() -> None:
    (row,) = make_rows(judged(*CRASH))
    assert (row.status, row.title, row.counts) == ("failed", "deployment/app", (0, 1))
    assert row.text.startswith('Container "main" exits with code 1 within a second; it has exited 3 times')
    assert [(each.status, each.name, each.more, each.text) for each in row.below] == [("failed", "app-7c7f66ddc6-qwhsn/main", 0, "")]
    assert row.below[0].born > 1.7e9


def counts(case: str, *more: str) -> list[tuple[float, float] | None]:
    return [row.counts for row in make_rows(judged("--replay", str(FIXTURES / case), *more))]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("deployment/success", (2, 2)),
        ("deployment/zero-replicas", (0, 0)),
        ("deployment/surge-crash-old-serving", (0, 3)),
        ("statefulset/success", (2, 2)),
        ("statefulset/partition", (3, 3)),
        ("statefulset/image-not-found-on-update", (0, 2)),
        ("daemonset/success", (1, 1)),
        ("daemonset/not-updated", (0, 1)),
        ("job/success", (1, 1)),
        ("job/parallel-completions", (4, 4)),
    ],
)
def test_how_many_of_the_new_revision_are_ready(case: str, expected: tuple[int, int]) -> None:
    assert counts(case) == [expected]


def test_a_kind_without_numbers_has_no_bar() -> None:
    assert counts("packs/cert-manager/certificate-ready", "--kinds", "certificate") == [None]
    view = terminal(Row("ready", "certificate/x", None, 0.0, "successfully rolled out", ()))
    assert picture(view, 140, 9)[1] == f"✔ ready    certificate/x  {' ' * 17}        successfully rolled out"


def test_numbers_that_cannot_be_read_have_no_bar(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nkinds:\n- name: deployment\n  counts: [sum(metadata.name), spec.replicas]\n")
    assert counts("deployment/success", "--rules", str(tmp_path / "team.yaml")) == [None]
    (tmp_path / "team.yaml").write_text("version: 1\nkinds:\n- name: deployment\n  counts: [metadata.name, spec.replicas]\n")
    assert counts("deployment/success", "--rules", str(tmp_path / "team.yaml")) == [None]
    (tmp_path / "team.yaml").write_text("version: 1\nkinds:\n- name: deployment\n  counts: [spec.replicas]\n")
    outcome = run("--replay", str(FIXTURES / "deployment/success"), "--rules", str(tmp_path / "team.yaml"))
    assert (outcome.exit, "counts takes two expressions" in outcome.error["message"]) == (2, True)


def test_an_object_without_a_time_has_no_age(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(
        re.sub('"creationTimestamp": "[^"]*"', '"creationTimestamp": "x"', snapshot("deployment/success").read_text())
    )
    rows = make_rows(judged("--replay", str(tmp_path / "x.json"), "--now", "2026-11-23T09:00:00Z"))
    assert [row.born for row in rows] == [0.0]


@pytest.mark.parametrize(("seconds", "text"), [(-3, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")])
def test_age(seconds: float, text: str) -> None:
    assert format_age(seconds) == text


def test_what_else_is_said_stands_below_until_it_is_over() -> None:
    view, judgement = terminal(), judged(*CRASH)
    view.trouble(1.0, "refused\x1b[2J")
    view.say_new(1.0, "stable", "everything is ready")
    assert picture(view, 80, 9)[1:] == ["trying again: refused", "everything is ready"]
    view.show(judgement)
    assert picture(view, 80, 9)[-1] == "everything is ready"
    assert picture(view, 80, 9)[1].startswith("✖ failed")


def test_namespaces_are_said_where_there_are_several(tmp_path: Path) -> None:
    content = [json.loads(snapshot(case).read_text())["items"] for case in ("deployment/success", "job/success")]
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": [*content[0], *content[1]]}))
    titles = [row.title for row in make_rows(judged("--replay", str(tmp_path / "all.json"), "-A"))]
    assert "r-job-success: job/migrate" in titles


def verdict(result: dict[str, object], *, told: bool = False) -> str:
    view = terminal()
    view.is_told = told
    assert view.conclude(result) == []
    return re.sub(r"\x1b\[[\d;]*m", "", view.stream.getvalue())


def test_the_verdict_for_people() -> None:
    text = verdict(result_of(error={"code": "timeout", "type": "rollout", "message": "was up\x1b[2J ::x"}))
    assert text.startswith("\n✖ The rollout is not done yet after 1m 1s: Deployment/web in shop\ncause: was up ::x (timeout)\n")
    assert "\x1b" not in text
    for words in (
        "\ncause: is stuck (not-progressing)\n  next: kubectl get x\n  in: Deployment/shop/web and 2 more like it\n  log:\n    | a       b\n",
        "\n  events:\n    4x Back: Off (last seen 2026-11-23T06:37:44Z)\n    1x R: M\n",
        "\n... and 2 more causes, which the result has\n",
        "\nchanged in Deployment/web: image a -> b\n  roll back: kubectl rollout undo\nnote: a note\n",
    ):
        assert words in text
    assert verdict({"success": True, "elapsedSeconds": 2, "polls": 1}) == "\n✔ The rollout succeeded after 2s\n"
    assert verdict(result_of(), told=True) == ""


# -------------------------------------------------------------------------------------------------------- bare terminal


class Screen:
    """A program whose stderr is a terminal, as it writes there. Its stdout is a pipe."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.terminal, theirs = pty.openpty()
        ioctl(self.terminal, TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        changes = {"TERM": "xterm-256color", **variables}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "rollout_status.py"), *arguments],
            stdout=subprocess.PIPE, stderr=theirs, start_new_session=True, env={**os.environ, **changes},
        )  # fmt: skip
        os.close(theirs)
        self.text = ""

    def more(self) -> bool:
        """Reads what has come; False at the end."""
        ready, _, _ = select.select([self.terminal], [], [], 60)
        assert ready, f"nothing more was written: {self.text[-2000:]}"
        try:
            chunk = os.read(self.terminal, 1 << 16)
        except OSError:  # as Linux says that all who had it open are gone
            return False
        self.text += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def wait_for(self, words: str) -> None:
        while words not in self.text:
            assert self.more(), self.text

    def end(self) -> Outcome:
        stdout = self.process.stdout
        assert stdout
        while self.more():
            pass
        text = stdout.read().decode()
        code = self.process.wait(60)
        os.close(self.terminal)
        stdout.close()
        return Outcome(code, json.loads(text) if text.startswith("{") else {}, text, self.text.replace("\r\n", "\n"))


LEFT = "\x1b[?1049l"  # the second screen


def test_a_picture_is_drawn_and_taken_away(kubectl) -> None:
    """A Deployment waits until the test has seen that; then it is ready."""
    program = kubectl(
        f'case "$*" in *"get "*) [ -e $DIR/ready ] && cat {snapshot("deployment/success")} || cat {snapshot("deployment/success", 0)} ;; esac'
    )
    screen = Screen("--kubectl", program, "-n", "r-deployment-success", "--interval", "0.2s", "--set", "settle=0s")
    screen.wait_for("waiting")
    assert "\x1b[?1049h" in screen.text
    Path(program).with_name("ready").touch()
    outcome = screen.end()
    assert (outcome.exit, outcome.result["success"]) == (0, True)
    drawn, _, rest = outcome.stderr.rpartition(LEFT)
    assert drawn.count("\x1b[?1049h") == 1
    assert "\x1b[?25h" in drawn[-10:] + rest
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", rest)
    assert plain.count("deployment/web") == 1
    assert "✔ The rollout succeeded after " in plain
    assert "[   0s]" not in outcome.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_the_terminal_as_it_was(kubectl, signum: int) -> None:
    screen = Screen(
        "--kubectl", kubectl(f'case "$*" in *"get "*) cat {snapshot("deployment/success", 0)} ;; esac'), "-n", "r-deployment-success"
    )
    screen.wait_for("waiting")
    screen.process.send_signal(signum)
    outcome = screen.end()
    assert (outcome.exit, outcome.error["code"]) == (128 + signum, "interrupted")
    _, left, rest = outcome.stderr.partition(LEFT)
    assert left
    assert "\x1b[?1049h" not in rest
    assert outcome.stderr.rindex("\x1b[?25h") > outcome.stderr.rindex("\x1b[?25l")
    assert "interrupted" in rest


def test_before_the_cluster_has_answered(kubectl) -> None:
    screen = Screen("--kubectl", kubectl("exec sleep 1000"), "deployment/web", "--timeout", "3s")
    screen.wait_for("asking the cluster")
    outcome = screen.end()
    assert outcome.exit in (3, 4)


def test_the_verdict_is_in_colour() -> None:
    outcome = Screen(*CRASH).end()
    assert outcome.exit == 1
    assert "The rollout failed after 15s" in outcome.stderr
    assert "\x1b[1;31m" in outcome.stderr


def test_a_run_that_ends_before_the_first_picture_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "GRACE", 1_000)
    stream = io.StringIO()
    terminal = Terminal(stream, quiet=False)
    terminal.start()
    terminal.conclude(
        {"success": False, "error": {"code": "timeout", "type": "rollout", "message": "the time was up"}, "elapsedSeconds": 3.0}
    )
    assert "\x1b[?1049h" not in stream.getvalue()
    assert "the time was up" in stream.getvalue()


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ((), {"TERM": "dumb"}),
        ((), {"TERM": ""}),
        ((), {"CI": "true"}),
        ((), {"PYTHONIOENCODING": "latin-1"}),
        ((), {"PYTHONPATH": "without-rich"}),
        (("--ci", "github"), {}),
    ],
)
def test_lines_where_no_picture_can_be(arguments: tuple[str, ...], variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('there is no rich')")
    variables = {**variables, **({"PYTHONPATH": str(tmp_path)} if "PYTHONPATH" in variables else {})}
    outcome = Screen(*CRASH, *arguments, **variables).end()
    assert outcome.stderr.startswith("[   0s] deployment/app: ")
    assert "\x1b" not in outcome.stderr


def test_pictures_in_a_ci_that_is_none() -> None:
    assert "The rollout failed after 15s" in Screen(*CRASH, "--ci", "none", CI="true").end().stderr


def test_no_color() -> None:
    assert not re.search(r"\x1b\[[\d;]*3\d", Screen(*CRASH, NO_COLOR="1").end().stderr)


def test_quiet_on_a_terminal() -> None:
    assert Screen(*CRASH, "--quiet").end().stderr == ""


class TerminalStdout(io.TextIOWrapper):
    """A stdout that says that it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("changes", [{}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}])
def test_stdout_on_a_terminal_is_the_text_in_colours(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | changes).items():
        monkeypatch.setenv(name, value)
    stdout = TerminalStdout()
    with redirect_stdout(stdout):
        assert rollout_status.main(["demo", "--quiet"]) == 1
    text = stdout.buffer.getvalue().decode()
    assert ("\x1b[" in text) == (not changes or "FORCE_COLOR" in changes)
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).startswith("The rollout failed after ")
