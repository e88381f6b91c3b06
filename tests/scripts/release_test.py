#!/usr/bin/env python3
"""packaging/release.py: this tree agrees; in a copy, a release is made, and everything that keeps one from being made is told."""
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
failed = False


def report(name, right, shown=""):
    global failed
    failed |= not right
    print(f"passed: {name}" if right else f"failed: {name}\n    {shown}")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def release(tree, *arguments):
    """Exit status and all that it says."""
    done = run(sys.executable, str(tree / "packaging/release.py"), *arguments)
    return done.returncode, done.stdout + done.stderr


status, said = release(ROOT, "--check")
report("release: this tree's header, changelog, citation and recipes name one version", status == 0, said)

with tempfile.TemporaryDirectory() as folder:
    tree = Path(folder) / "tree"
    for part in ("packaging", "include/spheremix/core/version.hpp", "CHANGELOG.md", "CITATION.cff"):
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("build", "__pycache__"))
        else:
            shutil.copy(ROOT / part, tree / part)
    version = re.search(r'SPHEREMIX_VERSION "([0-9.]+)"', (tree / "include/spheremix/core/version.hpp").read_text())[1]
    tag = "v" + version

    def git(*arguments):
        done = run("git", "-C", str(tree), "-c", "user.name=a", "-c", "user.email=a@b", *arguments)
        assert done.returncode == 0, done.stderr

    def change(file, pattern, new):
        text = (tree / file).read_text()
        changed = re.sub(pattern, new, text, count=1, flags=re.MULTILINE)
        assert changed != text, f"{file} has no {pattern}"
        (tree / file).write_text(changed)
        return text

    # Every file in turn names another version, or none.
    named = {"CHANGELOG.md": rf"^## {version}", "include/spheremix/core/version.hpp": rf'"{version}"', "CITATION.cff": rf"^version: {version}"}
    for path in sorted((tree / "packaging").rglob("*")):
        if path.is_file() and version in path.read_text() and path.name not in ("release.py", "README.md"):
            named[str(path.relative_to(tree))] = re.escape(version)
    report("release: the recipes that name a version were found", len(named) >= 9, str(named))
    for file, pattern in named.items():
        for other in ("9.8.7", "none"):
            old = change(file, pattern, lambda found: found[0].replace(version, other))
            status, said = release(tree, "--check")
            report(f"release: {file} with version {other} is told", status == 1 and Path(file).name in said, said)
            (tree / file).write_text(old)
    old = change("include/spheremix/core/version.hpp", r"VERSION_MINOR \d+", "VERSION_MINOR 77")
    status, said = release(tree, "--check")
    report("release: a part of the version that differs is told", status == 1 and "its parts are" in said, said)
    (tree / "include/spheremix/core/version.hpp").write_text(old)

    # A release, and what keeps it from being made.
    change("CHANGELOG.md", rf"^## {version}.*$", f"## {version}, 2031-02-03")
    with open(tree / "CITATION.cff", "a", encoding="utf-8") as citation:
        citation.write("date-released: 2031-02-03\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "all")

    def refused(name, words, tag=tag):
        status, said = release(tree, tag, folder)
        made = list(Path(folder).glob("*.tar.gz"))
        report(f"release: {name} is told, and no archive made", status == 1 and words in said and not made, said + str(made))

    refused("a tag that is not there", f"there is no tag {tag}")
    git("tag", tag)
    refused("another tag", "the tag is v9.9.9", "v9.9.9")
    old = change("CHANGELOG.md", r"2031-02-03", "unreleased")
    refused("an undated changelog", "has no date")
    refused("a change that is not committed", "not committed")
    (tree / "CHANGELOG.md").write_text(old)
    old = change("CITATION.cff", r"2031-02-03", "2031-02-04")
    refused("a citation of another date", "date-released is 2031-02-04")
    change("CITATION.cff", r"^date-released.*\n", "")
    refused("a citation without a date", "date-released is None")
    (tree / "CITATION.cff").write_text(old)
    git("commit", "-q", "--allow-empty", "-m", "later")
    refused("a commit after the tag", "is not what is checked out")
    git("tag", "-f", tag)

    archive = Path(folder) / f"spheremix-{version}.tar.gz"
    status, said = release(tree, tag, folder)
    report("release: an archive is made", status == 0 and archive.exists(), said)
    if archive.exists():
        first = archive.read_bytes()
        sums = re.findall(r"^sha(?:256|512) (\w+)$", said, re.MULTILINE)
        report("release: its sums are right", sums == [hashlib.sha256(first).hexdigest(), hashlib.sha512(first).hexdigest()], said)
        with tarfile.open(archive) as packed:
            names = packed.getnames()
        report("release: it holds the tree in one folder", f"spheremix-{version}/include/spheremix/core/version.hpp" in names and
               all(name.split("/")[0] == f"spheremix-{version}" for name in names), str(names))
        release(tree, tag, folder)
        report("release: the same bytes again", archive.read_bytes() == first)
sys.exit(failed)
