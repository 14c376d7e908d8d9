"""The image, built by buildah from the Dockerfile itself, as root. What stands in for what no registry gives here: Debian with its own
Python for the base, and for kubectl a script, whose checksum the build is told.
"""

import hashlib
import json
import os
import platform
import re
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, command

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("buildah") and shutil.which("mmdebstrap")), reason="needs root, buildah and mmdebstrap"
)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Knows one kubeconfig, and in it one namespace and selector
KUBECTL = f"""#!/bin/sh
[ "$(cat "$HOME/.kube/config")" = "a kubeconfig" ] || {{ echo "there is no kubeconfig" >&2; exit 1; }}
case "$*" in
  *watch=1*) exec sleep 1000 ;;
  *"--context=c "*" -n r-deployment-success -l app=web -o json"* | *" -n r-deployment-success -o json"* | *--raw*/namespaces/r-deployment-success/*)
    cat <<'END'
{max((FIXTURES / "deployment/success").glob("*.json")).read_text()}
END
    ;;
  *) exit 1 ;;
esac
"""
BASE = """
FROM scratch
ADD base.tar /
COPY release /release
COPY certificates /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self.words = ["buildah", "--storage-driver", "overlay", "--root", f"{folder}/storage", "--runroot", f"{folder}/run"]

    def __call__(self, *words: str | Path, exit: int | None = 0, cwd: Path | None = None):
        return command(*self.words, *words, exit=exit, cwd=cwd)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory, repository: Path):
    """With the image, localhost/rollout-status, and its base."""
    folder = tmp_path_factory.mktemp("image")
    buildah = Buildah(folder)
    context = folder / "base"
    for machine in ("amd64", "arm64"):
        program = context / "release" / "bin" / "linux" / machine / "kubectl"
        program.parent.mkdir(parents=True)
        program.write_text(KUBECTL)
    (context / "Dockerfile").write_text(BASE)
    shutil.copy(CERTIFICATES, context / "certificates")
    command(
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv,ca-certificates",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*", platform.freedesktop_os_release()["VERSION_CODENAME"], context / "base.tar",
    )  # fmt: skip
    buildah("bud", "-q", "--isolation", "chroot", "-t", "localhost/base", ".", cwd=context)
    (context / "base.tar").unlink()
    digest = hashlib.sha256(KUBECTL.encode()).hexdigest()
    buildah(*BUILD, "--build-arg", f"KUBECTL_SHA256=amd64:{digest} arm64:{digest}", "-t", "localhost/rollout-status", ".", cwd=repository)
    yield buildah
    buildah("rm", "--all")
    shutil.rmtree(folder)


BUILD = ["bud", "-q", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "--build-arg", "KUBECTL_RELEASE=file:///release"]


@pytest.fixture(scope="module")
def container(buildah: Buildah):
    """Runs the image's entry point as its user, as `docker run` would."""
    name = buildah("from", "localhost/rollout-status").stdout.strip()
    config = json.loads(buildah("inspect", "--type", "image", "localhost/rollout-status").stdout)["OCIv1"]["config"]

    def run(*words: str, exit: int = 0, user: str = config["User"], volume: str = ""):
        volumes = ["--volume", volume] if volume else []
        return buildah("run", "--isolation", "chroot", "--user", user, *volumes, name, "--", *words, exit=exit)

    run.user, run.entrypoint = config["User"], config["Entrypoint"]
    return run


def test_it_runs_as_nobody_who_is_root(container) -> None:
    assert container.user == "65532:65532"
    assert container("id", "-u").stdout.strip() == "65532"


def test_its_size(container) -> None:
    """What docs/install.md says that Python packages take of it, in megabytes."""
    size = int(container("du", "-sm", "/opt/rollout-status").stdout.split()[0])
    said = re.search(r"(\d+) MB of Python packages", (ROOT / "docs" / "install.md").read_text())
    assert said
    assert 0.5 * int(said[1]) < size <= int(said[1])


def test_the_demo(container) -> None:
    done = container(*container.entrypoint, "demo", "--quiet", exit=1)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"


def test_the_role_is_in_it(container) -> None:
    (path,) = container("find", "/opt/rollout-status", "-name", "rbac.yaml").stdout.split()
    assert "kind: ClusterRole" in container("cat", path).stdout


def test_the_arguments_of_the_seed(container, tmp_path_factory: pytest.TempPathFactory) -> None:
    """-v "$HOME/.kube:/root/.kube:ro", whose file only its owner can read, so that the container runs as the owner."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o755)
    (home / "config").write_text("a kubeconfig")
    (home / "config").chmod(0o600)
    os.chown(home / "config", 12345, 12345)
    done = container(
        *container.entrypoint, "-namespace", "r-deployment-success", "-selector", "app=web", "-kubecontext", "c", "-interval", "1s", "-retry-limit=6",
        user="12345", volume=f"{home}:/root/.kube:ro",
    )  # fmt: skip
    assert json.loads(done.stdout)["success"] is True


def test_a_kubectl_with_another_checksum_is_refused(buildah: Buildah, repository: Path) -> None:
    done = buildah(*BUILD, "-t", "localhost/refused", ".", cwd=repository, exit=None)
    assert done.returncode != 0
    assert "kubectl has the checksum" in done.stdout + done.stderr
