"""What a release is made of: workflows, names of wheels, the glibc that they need, the source distribution."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release, glibc_floor, sdist = script("release"), script("glibc_floor"), script("sdist")


def workflow(name: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return read


# Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_uses_actions_by_their_hash_and_may_do_nothing_but_what_a_job_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    for use in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use
    read = workflow(path.name)
    assert read["permissions"] == {}
    for name, job in read["jobs"].items():
        assert job["timeout-minutes"] <= 90, name
        allowed = {"contents": "read"} | ({"id-token": "write"} if name == "publish" else {})
        assert job["permissions"] == allowed, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_one_version_of_an_action_is_used_everywhere() -> None:
    used: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, version in re.findall(r"uses: ([\w./-]+)@(.+)", path.read_text(encoding="utf-8")):
            used.setdefault(action, set()).add(version)
    assert {action: len(versions) for action, versions in used.items()} == dict.fromkeys(used, 1)


def test_nothing_is_published_that_was_not_tried() -> None:
    jobs = workflow("release.yml")["jobs"]
    publish = jobs["publish"]
    assert set(publish["needs"]) == {"smoke", "smoke-musl", "sdist"}
    assert jobs["smoke"]["needs"] == "wheels"
    assert jobs["wheels"]["needs"] == "version"
    assert publish["environment"] == "release"
    last = publish["steps"][-1]
    assert last["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert last["with"] == {"attestations": True}
    assert publish["steps"][-2]["run"] == "python3 scripts/release.py files dist"


def test_the_release_builds_what_is_expected_of_it() -> None:
    matrix = workflow("release.yml")["jobs"]["wheels"]["strategy"]["matrix"]
    assert len(matrix["platform"]) == len(release.PLATFORMS)
    assert len(matrix["python"]) == len(release.PYTHONS)
    tags = [
        "cp310-abi3" if name == "abi3" else f"cp{(digits := name.rstrip('t').replace('.', ''))}-cp{digits}{name[4:]}"
        for name in matrix["python"]
    ]
    assert set(tags) == set(release.PYTHONS)


def test_the_steps_that_the_checks_call_are_there() -> None:
    steps = workflow("check.yml")["jobs"]["steps"]["strategy"]["matrix"]["step"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in [*steps, "test-python"]:
        assert re.search(rf"^    {name}\) step ", script, re.MULTILINE), name


# Tags and files


def test_a_tag_is_the_version_with_a_section_of_the_changelog() -> None:
    version = release.version()
    assert release.faults_of_tag(f"v{version}", f"## [{version}] - today") == []
    assert len(release.faults_of_tag(version, f"## [{version}]")) == 1
    assert len(release.faults_of_tag("v99.0.0", f"## [{version}]")) == 1
    assert len(release.faults_of_tag(f"v{version}", "## [Unreleased]")) == 1


def all_files() -> list[str]:
    start = f"proxywhirl_rs-{release.version()}"
    tags = [
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "manylinux2014_aarch64.manylinux_2_17_aarch64",
        "musllinux_1_2_x86_64",
        "musllinux_1_2_aarch64",
        "macosx_10_12_x86_64",
        "macosx_11_0_arm64",
        "win_amd64",
    ]
    return [f"{start}.tar.gz", *(f"{start}-{python}-{tag}.whl" for python in release.PYTHONS for tag in tags)]


def test_a_release_has_every_file_and_no_other() -> None:
    files = all_files()
    assert release.faults_of_files(files) == []
    for file in files:
        assert len(release.faults_of_files([name for name in files if name != file])) == 1, file
    (fault,) = release.faults_of_files([*files, "proxywhirl_rs-0.0.1-cp39-cp39-win_amd64.whl"])
    assert "belongs to no release" in fault
    newer = [name.replace("manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_34_x86_64") for name in files]
    assert len(release.faults_of_files(newer)) == 2 * len(release.PYTHONS)


# glibc


def elf_that_needs(*versions: str) -> bytes:
    """The least of an ELF file in which a module says which versions of libc it needs."""
    names = b"\0libc.so.6\0" + b"".join(version.encode() + b"\0" for version in versions)
    places = [names.index(b"\0" + version.encode() + b"\0") + 1 for version in versions]
    needs = struct.pack("<HHIII", 1, len(versions), 1, 16, 0)
    for number, place in enumerate(places):
        following = 16 if number < len(versions) - 1 else 0
        needs += struct.pack("<IHHII", 0, 0, 2 + number, place, following)
    header = 64
    sections = header + len(names) + len(needs)
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at, size, link, info, 0, 0)
        for kind, at, size, link, info in [
            (0, 0, 0, 0, 0),
            (3, header, len(names), 0, 0),
            (glibc_floor.SHT_GNU_VERNEED, header + len(names), len(needs), 1, 1),
        ]
    )
    start = b"\x7fELF\2\1\1".ljust(0x28, b"\0") + struct.pack("<Q", sections)
    return start.ljust(0x3A, b"\0") + struct.pack("<HHH", 64, 3, 1) + names + needs + table


@pytest.mark.parametrize(
    ("versions", "floor"),
    [
        (["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.9"], (2, 17)),
        (["GLIBC_2.28", "GLIBC_2.4"], (2, 28)),
        (["GCC_3.0"], (0,)),
        (["GLIBC_2.2.5", "GLIBC_ABI_DT_RELR"], (2, 36)),
        (["GLIBC_ABI_NEW"], (999,)),
    ],
)
def test_the_newest_glibc_that_is_demanded_is_the_floor(versions: list[str], floor: tuple[int, ...]) -> None:
    assert glibc_floor.floor_of(elf_that_needs(*versions)) == floor


@pytest.mark.parametrize(
    ("wheel", "version"),
    [
        ("p-1-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", (2, 17)),
        ("p-1-cp310-abi3-manylinux2014_aarch64.whl", (2, 17)),
        ("p-1-cp39-cp39-manylinux_2_34_x86_64.whl", (2, 34)),
        ("p-1-cp39-cp39-musllinux_1_2_x86_64.whl", None),
        ("p-1-cp39-cp39-linux_x86_64.whl", None),
    ],
)
def test_a_name_promises_a_glibc(wheel: str, version: tuple[int, ...] | None) -> None:
    assert glibc_floor.promised(wheel) == version


def floor_said(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "glibc_floor.py"), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout


def test_a_wheel_that_needs_more_than_its_name_promises_is_refused(tmp_path: Path) -> None:
    name = "p-1-cp310-abi3-manylinux_2_17_x86_64.whl"
    for needs, arguments, expected in [
        ("GLIBC_2.17", [], 0),
        ("GLIBC_2.18", [], 1),
        ("GLIBC_2.17", ["2.12"], 1),
    ]:
        with zipfile.ZipFile(tmp_path / name, "w") as wheel:
            wheel.writestr("p/_core.abi3.so", elf_that_needs(needs))
        code, said = floor_said(tmp_path, *arguments)
        assert code == expected, said
        assert needs[len("GLIBC_") :] in said
    assert floor_said(tmp_path / "empty")[0] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the module is an ELF file on Linux only")
def test_the_module_that_runs_here_is_read() -> None:
    import proxywhirl._core

    # What it was linked against is here, or it would not run.
    here = tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")))  # type: ignore[union-attr]
    floor = glibc_floor.floor_of(Path(proxywhirl._core.__file__).read_bytes())
    assert (2, 2) < floor <= here


# The source distribution


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "p-1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"p-1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("python/proxywhirl/_core.abi3.so", b"", "belongs to a machine"),
        (".env", b"", "belongs to a machine"),
        ("target/x", b"", "belongs to a machine"),
        ("tests/tls/site.pem", b"", "belongs to a machine"),
        ("a.txt", b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64, "looks like a secret"),
        ("a.txt", b"token = gh" + b"p_" + b"a" * 36, "looks like a secret"),
        ("a.txt", str(ROOT).encode() + b"/x", "names this machine"),
    ],
)
def test_what_does_not_belong_into_a_source_distribution_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, fault: str
) -> None:
    monkeypatch.setattr(sdist, "kept", set)
    files = dict.fromkeys(sdist.NEEDED, b"")
    assert sdist.faults_of(packed(tmp_path, files)) == []
    (found,) = sdist.faults_of(packed(tmp_path, {**files, name: content}))
    assert fault in found


def test_what_is_missing_from_a_source_distribution_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdist, "kept", lambda: {"src/lib.rs", "src/new.rs", "tests/python/test_new.py"})
    files = dict.fromkeys((*sdist.NEEDED, "strange.txt"), b"")
    del files["Cargo.lock"]
    found = sdist.faults_of(packed(tmp_path, files))
    assert "Cargo.lock: missing" in found
    assert "strange.txt: not in the repository" in found
    assert "src/new.rs: left out" in found
    assert "tests/python/test_new.py: left out" in found


# The linker


@pytest.mark.skipif(os.name == "nt", reason="a script of bash")
def test_a_linker_that_does_less_is_asked_for_less(tmp_path: Path) -> None:
    for refused, expected in [
        ("nothing", "-- -Clink-arg=-Wl,-z,keep-text-section-prefix -Clink-arg=-Wl,--icf=all"),
        ("icf", "-- -Clink-arg=-Wl,-z,keep-text-section-prefix"),
        ("-Wl", ""),
    ]:
        compiler = tmp_path / "compiler"
        compiler.write_text(f'#!/bin/sh\ncase "$*" in *{refused}*) echo "unknown argument" >&2; exit 1;; esac\n')
        compiler.chmod(0o755)
        environment = {**os.environ, "RUSTC": str(compiler)}
        command = ["bash", str(ROOT / "scripts" / "linker.sh")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout.strip() == expected
