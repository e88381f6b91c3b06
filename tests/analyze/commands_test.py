"""What a run does beside the report: --fail-if, progress, Ctrl-C."""
import math
import os
import pty
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import support

PAIR = ("--image", support.IMAGE, "--text", support.TEXT)


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def small(self, name, rows):
        return support.save(self.path / name, rows)

    def test_fail_if(self):
        rows = [[math.cos(i), math.sin(i)] for i in range(30)]
        file = self.small("x.npy", rows)
        met = support.run("--image", file, "--json", self.path / "a.json", "--fail-if", "uniformity>-9", "--fail-if", "duplicates > 0")
        self.assertEqual(met.returncode, 3)
        sentences = [line for line in met.stderr.splitlines() if "which meets" in line]
        self.assertEqual(len(sentences), 1)
        self.assertIn('image.uniformity is', sentences[0])
        self.assertTrue((self.path / "a.json").exists(), "the report is written all the same")
        self.assertEqual(support.run("--image", file, "--fail-if", "image.uniformity>=0.5").returncode, 0)

    def test_progress_is_lines_when_piped_and_one_line_on_a_terminal(self):
        piped = support.run(*PAIR)
        self.assertNotIn("\r", piped.stderr)
        self.assertIn("Pairs of image and text\n", piped.stderr)
        master, slave = pty.openpty()
        program = subprocess.Popen([support.PROGRAM, *map(str, PAIR)], stderr=slave, stdout=subprocess.DEVNULL)
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        self.assertEqual(program.wait(), 0)
        self.assertRegex(seen.decode(), r"\r\x1b\[K.*%, .* a second, \d+:\d\d left")

    def test_interrupt_leaves_nothing(self):
        rows = [[((i * 7919 + k * 104729) % 1000) / 1000 - 0.4 for k in range(64)] for i in range(20000)]
        file = self.small("big.npy", rows)
        program = subprocess.Popen([support.PROGRAM, "--image", file, "--report", self.path / "r.html", "--json", self.path / "r.json", "--csv", self.path / "csv"],
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in program.stderr:
            if line.startswith("Pairs within"):
                break
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 130, said)
        self.assertIn("interrupted, nothing written", said)
        self.assertEqual(os.listdir(self.path), ["big.npy"])


if __name__ == "__main__":
    support.main()
