"""Damaged files of every format: a report or one sentence, never a crash, never half a file."""
import json
import os
import random
import shutil
import struct
import subprocess
import zipfile

import formats_test
import support

DRAW = random.Random(30)


class Hostile(support.Folder):
    def survive(self, *arguments, before=None, **more):
        before = sorted(os.listdir(self.path))
        done = subprocess.run([support.PROGRAM, *map(str, arguments), "--json", "o.json", "--csv", "tables"], cwd=self.path,
                              capture_output=True, timeout=120, **more)
        said = done.stderr.decode()  # ASCII, or this fails
        sentences = [line for line in said.splitlines() if line.startswith("spheremix-analyze: ")]
        if done.returncode == 0:
            json.loads((self.path / "o.json").read_text())
            (self.path / "o.json").unlink()
            for name in ("metrics.csv", "spectrum.csv", "hubs.csv"):
                (self.path / "tables" / name).unlink()
            (self.path / "tables").rmdir()
        else:
            self.assertIn(done.returncode, (1, 2), said)
            self.assertEqual(len(sentences), 1, said)
            self.assertLess(len(sentences[0]), 700)
        self.assertEqual(sorted(os.listdir(self.path)), before)
        return done.returncode

    def damaged(self, content):
        """Cut, flipped, doubled, filled: 6 ways."""
        content = bytearray(content)
        yield content[:DRAW.randrange(len(content))]
        yield content[:DRAW.randrange(min(200, len(content)))]
        for most in (12, 200):
            other = bytearray(content)
            for _ in range(6):
                other[DRAW.randrange(min(most, len(other)))] = DRAW.randrange(256)
            yield other
        yield content + content
        other = bytearray(content)
        place = DRAW.randrange(max(1, min(120, len(other) - 8)))
        other[place:place + 8] = struct.pack("<Q", DRAW.choice((2**63 - 1, 2**64 - 1, 2**32, 2**31)))
        yield other

    def test_damaged_arrays(self):
        x = support.npy("'<f4'", (60, 16), formats_test.plain())
        whole = {
            "x.npy": x, "x.npz": support.archive({"x.npy": x}, zipfile.ZIP_DEFLATED), "s.npz": support.archive({"x.npy": x}, zipfile.ZIP_STORED),
            "x.safetensors": support.safetensors({"e": ("F32", [60, 16], formats_test.plain())}),
            "x.fvecs": support.fvecs(formats_test.ROWS),
            "x.fbin": support.fbin(formats_test.ROWS), "x.parquet": b"PAR1" + x + b"PAR1", "x.arrow": b"ARROW1\0\0" + x + b"ARROW1",
        }
        refused = runs = 0
        for name, content in whole.items():
            for k, bad in enumerate(self.damaged(content)):
                with self.subTest((name, k)):
                    (self.path / name).write_bytes(bad)
                    refused += self.survive("--image", name) != 0
                    refused += self.survive("--image", "-", input=bytes(bad)) != 0
                    runs += 2
            (self.path / name).unlink()
        self.assertEqual(runs, 96)
        self.assertGreater(refused, 60)

    def test_damaged_tables_and_pictures(self):
        support.save(self.path / "x.npy", formats_test.ROWS)
        table = ("group\tname\n" + "".join(f"g{i % 3}\t\"na \"\"me\"\" {i}\"\n" for i in range(60))).encode()
        lines = b"".join(json.dumps({"group": f"g{i % 3}"}).encode() + b"\n" for i in range(60))
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 480, 480) + bytes(40)
        for name, content, option, suffix in (("t.tsv", table, "--labels", ":group"), ("t.csv", table.replace(b"\t", b","), "--names", ":name"),
                                              ("t.jsonl", lines, "--labels", ":group"), ("u.tsv", table.decode().encode("utf-16"), "--labels", ":group"),
                                              ("a.png", png, "--pictures", ":48x48"), ("q.txt", b"".join(b"%d 0 %d %d\n" % (i // 2, 59 - i, i % 3) for i in range(60)), "--qrels", ""),
                                              ("i.txt", b"".join(b"%d\n" % (i // 2) for i in range(60)), "--index", "")):
            for k, bad in enumerate(self.damaged(content)):
                with self.subTest((name, k)):
                    (self.path / name).write_bytes(bad)
                    self.survive("--image", "x.npy", *(("--text", "x.npy") if option in ("--index", "--qrels") else ()), option, name + suffix)
            (self.path / name).unlink()

    def test_damaged_files_of_the_other_commands(self):
        x = support.npy("'<f4'", (60, 16), formats_test.plain())
        support.save(self.path / "x.npy", formats_test.ROWS)
        done = subprocess.run([support.PROGRAM, "--image", "x.npy", "--text", "x.npy", "--json", "run.json"], cwd=self.path, capture_output=True)
        self.assertEqual(done.returncode, 0)
        run = (self.path / "run.json").read_bytes()
        for name, content, arguments in (("b.npy", x, ("--drift", "x.npy", "b.npy", "--json", "o.json", "--report", "o.html")), ("b.npy", x, ("fix", "--input", "b.npy", "--output", "o.npy", "--repair", "centre")),
                                         ("b.npy", x, ("slerp-path", "--image", "b.npy", "--from", "image:1", "--to", "image:2", "--json", "o.json")), ("b.json", run, ("--compare", "run.json", "b.json", "--json", "o.json", "--report", "o.html", "--lists", "l"))):
            for k, bad in enumerate(self.damaged(content)):
                with self.subTest((arguments[0], k)):
                    (self.path / name).write_bytes(bad)
                    before = sorted(os.listdir(self.path))
                    done = subprocess.run([support.PROGRAM, *arguments], cwd=self.path, capture_output=True, timeout=120)
                    self.assertIn(done.returncode, (0, 1, 2), done.stderr)
                    if done.returncode:
                        self.assertEqual(len([line for line in done.stderr.decode().splitlines() if line.startswith("spheremix-analyze: ")]), 1, done.stderr)
                        self.assertEqual(sorted(os.listdir(self.path)), before)
                    for made in ("o.json", "o.html", "o.npy"):
                        (self.path / made).unlink(missing_ok=True)
                    shutil.rmtree(self.path / "l", ignore_errors=True)
            (self.path / name).unlink()

    def test_hostile_names(self):
        for name in ("\x1b[31m.npy", "\u202egnp.npy", "a\nb.npy", "=cmd.npy", "-x.npy", "x*.npy", "[x].npy", "x:y.npy", "x.npy:T.npy", " .npy", "\udcff.npy",
                     "<script>.npy", "a" * 240 + ".npy"):
            with self.subTest(name):
                support.save(self.path / os.fsencode(name).decode("utf-8", "surrogateescape"), formats_test.ROWS)
                self.assertEqual(self.survive(f"--image=./{name}"), 0)
                os.remove(self.path / name)
        support.save(self.path / "x.npy", formats_test.ROWS)
        for modality in ("a-b", "a.b", "\x1b[31m", "<b>", "a\nb", "../../etc", "\u202e", "a" * 3000):
            with self.subTest(modality):
                self.assertEqual(self.survive("--modality", f"{modality}=x.npy", "--modality", "z=x.npy"), 0)


if __name__ == "__main__":
    support.main()
