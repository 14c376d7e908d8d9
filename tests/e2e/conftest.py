"""A namespace of the cluster in KUBECONFIG for each test, and the tool as a subprocess.

ROLLOUT_E2E_IMAGES    the registry of the images, localhost:5000 if it isn't set (which images: manifests.py)
ROLLOUT_E2E_KUBECTLS  colon-separated: the kubectl programs that the tool is tried with, `kubectl` if it isn't set
ROLLOUT_STATUS        the script to test, the one of this repository if it isn't set
"""

import json
import os
import secrets
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

Json = Any
SCRIPT = Path(os.environ.get("ROLLOUT_STATUS") or Path(__file__).resolve().parents[2] / "rollout_status.py")
SCHEMA = json.loads((SCRIPT.parent / "schema.json").read_text(encoding="utf-8"))
KUBECTLS = os.environ.get("ROLLOUT_E2E_KUBECTLS", "kubectl").split(":")
ROLE, CLUSTER_ROLE, CAUSES = yaml.safe_load_all((SCRIPT.parent / "rollout_status_lib" / "sources" / "rbac.yaml").read_text())
PATIENCE = 120.0  # seconds after which what should have come counts as not coming


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kubectl_path" in metafunc.fixturenames:
        metafunc.parametrize("kubectl_path", KUBECTLS)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Ends the session when there is no cluster: tests that didn't run must not look like tests that passed."""
    try:
        kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
    except (OSError, AssertionError, subprocess.TimeoutExpired) as error:
        reason = f"make e2e needs a cluster: set KUBECONFIG to one that answers `kubectl get --raw /readyz`. {error}"
        pytest.exit(reason, returncode=pytest.ExitCode.USAGE_ERROR)


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What kubectl prints; AssertionError with its own words when it fails."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE + 30, check=False)
    if done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of the condition; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g}s"
        time.sleep(0.05)
    return value


def is_kept(assertion: Callable[[], object]) -> bool:
    """Whether a call raises no AssertionError."""
    try:
        assertion()
    except AssertionError:
        return False
    return True


def command(*arguments: str) -> list[str]:
    """The tool's command line."""
    return [sys.executable, str(SCRIPT), *arguments]


@dataclass(frozen=True)
class Result:
    """What a run of the tool gave. All that is promised of every run is asserted here."""

    exit: int
    document: Json
    stderr: str

    @classmethod
    def of(cls, exit: int, stdout: str, stderr: str) -> "Result":
        assert "Traceback" not in stderr, stderr
        document = json.loads(stdout)  # which refuses a second document, too
        jsonschema.validate(document, SCHEMA, jsonschema.Draft7Validator)
        assert not [note for note in document.get("notes", ()) if "schema.json" in note], document
        assert document["success"] == (exit == 0), document
        return cls(exit, document, stderr)

    @property
    def error(self) -> Json:
        return self.document["error"]

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each workload, by its name."""
        return {workload["name"]: workload["status"] for workload in self.document["workloads"]}


@dataclass(frozen=True)
class Namespace:
    """A namespace, and what a pipeline does in it."""

    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return kubectl("-n", self.name, *arguments, stdin=stdin)

    def apply(self, *manifests: Json) -> None:
        self.kubectl("apply", "-f", "-", stdin=listed(*manifests))

    def get(self, *arguments: str) -> Json:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def rollout_status(self, *arguments: str) -> Result:
        """The result of watching this namespace, once the tool has ended by itself."""
        return rollout_status("-n", self.name, *arguments)


def rollout_status(*arguments: str, stdin: str = "") -> Result:
    """The result of a run of the tool, once it has ended by itself."""
    done = subprocess.run(command(*arguments), input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Result.of(done.returncode, done.stdout, done.stderr)


def listed(*manifests: Json) -> str:
    """Manifests as kubectl reads them."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of its own for a test."""
    with fresh_namespace() as fresh:
        yield fresh


@pytest.fixture
def other() -> Iterator[Namespace]:
    """A second namespace, for a test that needs two."""
    with fresh_namespace() as fresh:
        yield fresh


@contextmanager
def fresh_namespace() -> Iterator[Namespace]:
    """A new namespace, with the ServiceAccount that pods need."""
    fresh = Namespace(f"e2e-{secrets.token_hex(4)}")
    kubectl("create", "namespace", fresh.name)
    try:
        eventually(lambda: is_kept(lambda: fresh.get("serviceaccount/default")))
        yield fresh
    finally:
        kubectl("delete", "namespace", fresh.name, "--wait=false")


@contextmanager
def started(*arguments: str, says: str = "deployment/web") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The tool, waiting (it has said for what), and what its environment and that of all it starts has in it."""
    mark = f"ROLLOUT_E2E_MARK={os.urandom(8).hex()}"
    environment = os.environ | dict([mark.split("=")])
    tool = subprocess.Popen(
        command(*arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    guard = threading.Timer(PATIENCE, tool.kill)
    guard.start()
    try:
        with tool:
            assert tool.stderr
            assert says in tool.stderr.readline()
            yield tool, mark
    finally:
        guard.cancel()
        for pid in processes(mark):
            os.kill(pid, signal.SIGKILL)


def ended(tool: subprocess.Popen[str]) -> Result:
    """The result of a tool that was started, once it has ended; its stderr lacks the beginning."""
    stdout, stderr = tool.communicate()
    return Result.of(tool.returncode, stdout, stderr)


@contextmanager
def cluster_wide(*manifests: Json) -> Iterator[None]:
    """Objects that are in no namespace, for as long as they are needed."""
    objects = listed(*manifests)
    try:
        kubectl("apply", "-f", "-", stdin=objects)
        yield
    finally:
        kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", stdin=objects)


def kubeconfig(folder: Path, **changes: dict[str, str]) -> str:
    """The path of the current kubeconfig with another `cluster` or `user` in it, apart from the certificates to trust."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["clusters"][0]["cluster"] |= changes.get("cluster", {})
    config["users"][0]["user"] = changes.get("user", config["users"][0]["user"])
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def processes(mark: str) -> list[int]:
    """The processes that have the mark in their environment, which is inherited, also by those in another session."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or is another user's
            if mark.encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found


def assert_interrupted(tool: subprocess.Popen[str], mark: str, signum: signal.Signals) -> None:
    assert tool.pid in processes(mark)
    tool.send_signal(signum)
    result = ended(tool)
    assert result.exit == 128 + signum
    assert result.error["code"] == "interrupted"
    assert "deployment/web" in result.error["message"]
    eventually(lambda: not processes(mark), 5)  # a killed process takes a moment to be gone


def account(namespace: Namespace, folder: Path) -> str:
    """The kubeconfig of a new ServiceAccount."""
    namespace.kubectl("create", "serviceaccount", "pipeline")
    return kubeconfig(folder, user={"token": namespace.kubectl("create", "token", "pipeline").strip()})


def bound(namespace: Namespace, folder: Path, role: Json = ROLE) -> str:
    """The kubeconfig of a ServiceAccount that has the rights of a role in the namespace."""
    config = account(namespace, folder)
    namespace.apply(role)
    name = role["metadata"]["name"]
    namespace.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={namespace.name}:pipeline")
    eventually(lambda: is_kept(lambda: namespace.kubectl("--kubeconfig", config, "get", "pods")))
    return config


class Relay(socketserver.BaseRequestHandler):
    """A connection to the API server, as the proxy's manner has it."""

    def handle(self) -> None:
        manner = self.server.manner
        self.server.connections.append((manner, self.request))
        with suppress(OSError):
            getattr(self, manner)()

    def passing(self) -> None:
        """Passes on what the two ends say to each other."""
        with socket.create_connection(self.server.upstream) as upstream:
            threading.Thread(target=self.pass_on, args=(upstream, self.request), daemon=True).start()
            self.pass_on(self.request, upstream)

    def pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while said := source.recv(1 << 16):
                target.sendall(said)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def resetting(self) -> None:
        """Accepts, and ends with an RST, which is what closing means without a time to linger."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()

    def mute(self) -> None:
        """Accepts, listens and never answers."""
        while self.request.recv(1 << 16):
            pass


class Proxy(socketserver.ThreadingTCPServer):
    """Listens as long as it is not refusing; its manner is that of the connections to come."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", port), Relay)
        self.upstream = upstream
        self.manner = "passing"
        self.connections: list[tuple[str, socket.socket]] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Accepts no more, and ends all connections."""
        self.shutdown()
        self.server_close()
        for _, connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Api:
    """The API server behind a proxy; `config` is the kubeconfig with which kubectl goes through it."""

    def __init__(self, folder: Path) -> None:
        config = json.loads(kubectl("config", "view", "--minify", "-o", "json"))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        assert server.hostname
        self.proxy = Proxy(0, (server.hostname, server.port or 443))
        self.port = self.proxy.server_address[1]
        self.config = kubeconfig(folder, cluster={"server": f"https://127.0.0.1:{self.port}", "tls-server-name": server.hostname})

    def refuses(self) -> None:
        self.proxy.close()

    def is_back(self) -> None:
        self.proxy = Proxy(self.port, self.proxy.upstream)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Connections are refused."""
        self.refuses()
        yield
        self.is_back()

    @contextmanager
    def being(self, manner: str) -> Iterator[None]:
        """New connections are treated in a manner: `resetting` or `mute`."""
        self.proxy.manner = manner
        yield
        self.proxy.manner = "passing"

    def has_been(self, manner: str) -> bool:
        """Whether a connection has been treated so."""
        return any(each == manner for each, _ in self.proxy.connections)


@contextmanager
def proxied(folder: Path) -> Iterator[Api]:
    """The API server behind a proxy, for as long as it is needed."""
    api = Api(folder)
    try:
        yield api
    finally:
        api.proxy.close()


def running_pods(namespace: Namespace) -> list[dict]:
    return [pod for pod in namespace.get("pods")["items"] if pod["status"]["phase"] in ("Pending", "Running")]


def images_of_running_pods(namespace: Namespace) -> set[str]:
    return {pod["spec"]["containers"][0]["image"].rpartition("/")[2] for pod in running_pods(namespace)}
