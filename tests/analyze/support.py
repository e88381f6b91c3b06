"""What the tests of spheremix-analyze share: running it, and .npy files by the standard library alone."""
import io
import json
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "tests/data/openclipart/image_shared_256_f16.npy"
TEXT = ROOT / "tests/data/openclipart/text_shared_256_f16.npy"
PROGRAM = "spheremix-analyze"
HANG = 14400  # seconds: ends what hangs, and fails no machine for being slow


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=HANG, **more)


def report(*arguments):
    """The JSON document of a run, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        done = run(*arguments, "--json", out)
        if done.returncode != 0:
            raise AssertionError(f"exit status {done.returncode}: {done.stderr}")
        return json.loads(out.read_text()), done.stdout


def value(document, key, scope):
    found = [m for m in document["metrics"] if m["key"] == key and m["scope"] == scope]
    assert len(found) == 1, f"{len(found)} figures {scope}.{key}"
    return found[0]["value"]


def load(path):
    """A little-endian two-dimensional .npy file as a list of lists."""
    raw = Path(path).read_bytes()
    start = 10 + int.from_bytes(raw[8:10], "little")
    header = eval(raw[10:start].decode(), {"__builtins__": {}})
    rows, cols = header["shape"]
    letter = {"<f2": "e", "<f4": "f", "<f8": "d"}[header["descr"]]
    numbers = struct.unpack(f"<{rows * cols}{letter}", raw[start:])
    return [list(numbers[i * cols:(i + 1) * cols]) for i in range(rows)]


def npy(descr, shape, data=b"", fortran=False):
    """descr and shape as Python writes them."""
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def header(descr, rows, cols):
    return npy(repr(descr), (rows, cols))


def archive(members, method):
    """An .npz file: name: content."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def numbers(rows, descr="<f4"):
    letter = {"<f2": "e", "<f4": "f", "<f8": "d"}[descr]
    return b"".join(struct.pack(f"<{len(row)}{letter}", *row) for row in rows)


def save(path, rows, descr="<f4"):
    Path(path).write_bytes(header(descr, len(rows), len(rows[0]) if rows else 0) + numbers(rows, descr))
    return path


def safetensors(tensors):
    """Of name: (dtype, shape, bytes)."""
    head, body = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, raw) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


def fvecs(rows):
    return b"".join(struct.pack(f"<i{len(r)}f", len(r), *r) for r in rows)


def fbin(rows):
    return struct.pack("<II", len(rows), len(rows[0])) + numbers(rows)


def ascii(text):
    """As it is printed where nobody looks on a terminal."""
    signs = {"\u2212": "-", "\u2013": "-", "\u2265": ">=", "\u2264": "<=", "\u2192": "->", "\u00d7": "x"}
    return "".join(c if c.isascii() else signs.get(c, f"\\u{{{ord(c):x}}}") for c in text)


class Folder(unittest.TestCase):
    """A folder for each test, and files in it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def put(self, name, content):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


def main():
    global PROGRAM
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__")
