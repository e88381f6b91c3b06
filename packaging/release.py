#!/usr/bin/env python3
"""Makes the archive of a release, after checking that everything that names the version agrees.

  release.py --check         version header, changelog, citation and recipes name one version; it may be unreleased
  release.py v0.1.0 [FOLDER] besides: the tag exists, is what is checked out with nothing changed, the changelog dates the version and the
                             citation gives the same date. Writes FOLDER/spheremix-0.1.0.tar.gz (default: .), the same
                             bytes every time, and prints its SHA256 and SHA512, which registries ask for

Exit status 1, with one line for each thing that is wrong, and then no archive."""
import gzip
import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = r"(\d+\.\d+\.\d+)"
NAMED = {  # file: where it names the version, each time
    "CITATION.cff": rf"^version: {VERSION}$",
    "packaging/vcpkg/ports/spheremix/vcpkg.json": rf'"version": "{VERSION}"',
    "packaging/spack/packages/spheremix/package.py": (rf'version\("{VERSION}"\)', rf"spheremix@{VERSION}`"),
    "packaging/conda/recipe.yaml": rf"^  version: {VERSION}$",
    "packaging/bazel/MODULE.bazel": rf'^    version = "{VERSION}",$',
    "packaging/meson/subprojects/spheremix.wrap": (rf"^directory = spheremix-{VERSION}$",
                                                  rf"^source_filename = spheremix-{VERSION}\.tar\.gz$"),
    "packaging/meson/subprojects/packagefiles/spheremix/meson.build": rf"version: '{VERSION}'",
    "packaging/ros/package.xml": rf"<version>{VERSION}</version>",
}


def first(pattern, file):
    """What the pattern's first match in the file holds, or None."""
    path = ROOT / file
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    return found and found[1]


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)


def disagreements():
    """The header's version, and what does not agree with it."""
    header = "include/spheremix/core/version.hpp"
    version = first(rf'^#define SPHEREMIX_VERSION "{VERSION}"$', header)
    if version is None:
        return None, [f"{header} has no line #define SPHEREMIX_VERSION \"x.y.z\""]
    wrong = []
    parts = [first(rf"^#define SPHEREMIX_VERSION_{name} (\d+)$", header) for name in ("MAJOR", "MINOR", "PATCH")]
    if parts != version.split("."):
        wrong.append(f"{header}: SPHEREMIX_VERSION is {version}, its parts are {parts}")
    newest = first(rf"^## {VERSION}\b", "CHANGELOG.md")
    if newest != version:
        wrong.append(f"CHANGELOG.md: its newest version is {newest}, the header's is {version}")
    for file, patterns in NAMED.items():
        for pattern in (patterns,) if isinstance(patterns, str) else patterns:
            named = first(pattern, file)
            if named != version:
                wrong.append(f"{file}: its version is {named}, the header's is {version}")
    return version, wrong


def unready(version, tag):
    """What keeps the tag from being a release of the version."""
    wrong = []
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag}, the header's version is {version}")
    date = first(rf"^## {re.escape(version)}, (\d\d\d\d-\d\d-\d\d)$", "CHANGELOG.md")
    if date is None:
        wrong.append(f"CHANGELOG.md: the heading of {version} has no date (## {version}, YYYY-MM-DD)")
    cited = first(r'^date-released: "?(\d\d\d\d-\d\d-\d\d)"?$', "CITATION.cff")
    if cited is None or cited != date:
        wrong.append(f"CITATION.cff: date-released is {cited}, the changelog's date is {date}")
    tagged = git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}").stdout
    if not tagged:
        wrong.append(f"there is no tag {tag}")
    elif tagged != git("rev-parse", "HEAD").stdout:
        wrong.append(f"{tag} is not what is checked out")
    if git("status", "--porcelain").stdout:
        wrong.append("there are changes that are not committed")
    return wrong


def main(arguments):
    if len(arguments) not in (1, 2) or (arguments[0].startswith("-") and arguments != ["--check"]):
        sys.exit(__doc__)
    version, wrong = disagreements()
    if version and arguments != ["--check"]:
        wrong += unready(version, arguments[0])
    if wrong:
        sys.exit("\n".join("release: " + line for line in wrong))
    if arguments == ["--check"]:
        print(f"release: everything names {version}")
        return
    name = f"spheremix-{version}"
    tar = git("archive", "--format=tar", f"--prefix={name}/", arguments[0])
    if tar.returncode != 0:
        sys.exit("release: " + tar.stderr.decode().strip())
    packed = gzip.compress(tar.stdout, compresslevel=9, mtime=0)
    archive = Path(arguments[1] if len(arguments) == 2 else ".") / f"{name}.tar.gz"
    archive.write_bytes(packed)
    print(f"{archive}\nsha256 {hashlib.sha256(packed).hexdigest()}\nsha512 {hashlib.sha512(packed).hexdigest()}")


main(sys.argv[1:])
