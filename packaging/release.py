"""Makes what a release consists of, of the wheel, the sdist and the archives in a folder. It needs no network.

release.py archive OS ARCH       puts dist/rollout-status, which `make onefile` makes, into dist/rollout-status-VERSION-OS-ARCH.tar.gz
release.py notes                 prints what CHANGELOG.md says about this version
release.py files OWNER/NAME      fills the templates in packaging/templates/ with the archives in dist/, into dist/release/
"""

import gzip
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

import yaml
from interface import ROOT, read_version

TEMPLATES = Path(__file__).with_name("templates")
NAME = re.compile(r"rollout-status-(?P<version>.+)-(?P<os>linux|darwin)-(?P<arch>amd64|arm64)\.tar\.gz")
# How others call the systems and the processors
SYSTEMS = {"linux": ("linux", "Linux"), "darwin": ("macos", "macOS")}
PROCESSORS = {"amd64": ("intel", "X64"), "arm64": ("arm", "ARM64")}
LOOP = re.compile(r"^ *# FOR EACH ARCHIVE\n(.*?)^ *# END\n", re.MULTILINE | re.DOTALL)
ACTION = ROOT / "integrations" / "github" / "action.yml"


def make_archive(dist: Path, system: str, processor: str) -> Path:
    """The one-file program and its license as an archive that is the same, byte by byte, whenever it is made of the same program."""
    path = dist / f"rollout-status-{read_version()}-{system}-{processor}.tar.gz"
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for source, mode in ((dist / "rollout-status", 0o755), (ROOT / "LICENSE", 0o644)):
            content = source.read_bytes()
            entry = tarfile.TarInfo(source.name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return path


def read_notes(version: str) -> str:
    """What CHANGELOG.md says about a version; ends the program if it says nothing."""
    section = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)"
    found = re.search(section, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        sys.exit(f"CHANGELOG.md says nothing about {version}: add ## [{version}] - DATE")
    return found[1].strip()


def list_archives(dist: Path) -> list[dict[str, str]]:
    """The archives of this version, each with the words that templates have for it."""
    archives = []
    for path in sorted(dist.glob("*.tar.gz")):
        name = NAME.fullmatch(path.name)
        if name and name["version"] == read_version():
            (system, runner_os), (processor, runner_arch) = SYSTEMS[name["os"]], PROCESSORS[name["arch"]]
            words = {"ARCHIVE": path.name, "OS": name["os"], "ARCH": name["arch"], "SYSTEM": system, "CPU": processor}
            archives.append({**words, "RUNNER": f"{runner_os}/{runner_arch}", "SHA256": compute_sum(path)})
    if not archives:
        sys.exit(f"there is no archive of {read_version()} in {dist}: make archive")
    return archives


def compute_sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fill(text: str, words: dict[str, str], archives: list[dict[str, str]]) -> str:
    """A template with its words filled in; the lines between `FOR EACH ARCHIVE` and `END` once for each archive."""

    def put(part: str, values: dict[str, str]) -> str:
        return re.sub(r"@([A-Z][A-Z0-9]*)@", lambda found: values[found[1]], part)

    return put(LOOP.sub(lambda loop: "".join(put(loop[1], {**words, **archive}) for archive in archives), text), words)


def make_action(script: str) -> str:
    """The action of integrations/github, which downloads an archive instead of building the program."""
    action = ACTION.read_text().replace("integrations/github@TAG", f"@v{read_version()}").replace("/@", "@")
    install = yaml.safe_load(action)["runs"]["steps"][0]["run"]
    indented = [f"      {line}".rstrip() for line in install.splitlines()]
    new = [f"      {line}".rstrip() for line in script.splitlines()]
    if "\n".join(indented) not in action:
        sys.exit(f"{ACTION}: its first step is not what it was")
    return action.replace("\n".join(indented), "\n".join(new))


def make_sbom() -> str:
    """What the program depends on, as CycloneDX: the pinned requirements of the image and of the archives."""
    pinned: dict[str, str] = {}
    for name in ("requirements.txt", "requirements-onefile.txt"):
        lines = re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
        pinned |= {f"{library}@{version}": library for library, version in lines}
    components = [
        {"type": "library", "name": name, "version": key.partition("@")[2], "purl": f"pkg:pypi/{name.lower()}@{key.partition('@')[2]}"}
        for key, name in sorted(pinned.items())
    ]
    program = {"type": "application", "name": "rollout-status", "version": read_version(), "licenses": [{"license": {"id": "MIT"}}]}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": program}, "components": components}
    return json.dumps(bom, indent=2) + "\n"


def make_files(dist: Path, repository: str) -> Path:
    """Fills the folder of the release: archives, wheel and sdist, templates, SBOM, checksums of all."""
    target, archives = dist / "release", list_archives(dist)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    words = {"VERSION": read_version(), "REPOSITORY": repository}
    underscored = f"rollout_status-{read_version()}"
    for path in sorted(dist.glob("*")):
        if path.name in [each["ARCHIVE"] for each in archives] or (path.name.startswith(underscored) and path.suffix in (".whl", ".gz")):
            shutil.copy(path, target)
    filled = {path.name: fill(path.read_text(), words, archives) for path in sorted(TEMPLATES.iterdir())}
    (target / "rollout-status.yaml").write_text(filled["krew.yaml"])
    (target / "rollout-status.rb").write_text(filled["homebrew.rb"])
    (target / "action.yml").write_text(make_action(filled["install.sh"]))
    (target / "sbom.cdx.json").write_text(make_sbom())
    (target / "NOTES.md").write_text(read_notes(read_version()) + "\n")
    sums = [f"{compute_sum(path)}  {path.name}\n" for path in sorted(target.iterdir()) if path.name != "NOTES.md"]
    (target / "SHA256SUMS").write_text("".join(sums))
    return target


def main(verb: str, *words: str, dist: Path = ROOT / "dist") -> None:
    if verb == "archive":
        print(make_archive(dist, *words))
    elif verb == "notes":
        print(read_notes(read_version()))
    elif verb == "files":
        print(make_files(dist, *words))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:] or [""])
