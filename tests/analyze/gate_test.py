"""--fail-if and --compare as a gate: what cannot be judged fails, what would be dropped is refused, the same rows are paired."""
import json
import tempfile
import unittest
from pathlib import Path

import support
from oracle import cosines, np, ranks, unit


class Gate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        r = np.random.default_rng(16)
        cls.t = r.standard_normal((400, 48)).astype("<f4")
        cls.i = (cls.t + 2.2 * r.standard_normal(cls.t.shape)).astype("<f4")
        cls.w = (cls.i + 0.35 * r.standard_normal(cls.t.shape)).astype("<f4")
        for name in "tiw":
            np.save(cls.path / f"{name}.npy", getattr(cls, name))
        cls.before, cls.after = cls.measure("i", "before"), cls.measure("w", "after")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def measure(cls, image, name, *more, rows=None, order="image text"):
        files = {"image": cls.path / f"{image}.npy", "text": cls.path / "t.npy"}
        if rows:
            for key, file in files.items():
                np.save(cls.path / f"{key}_{rows}.npy", np.load(file)[:rows])
                files[key] = cls.path / f"{key}_{rows}.npy"
        out = cls.path / f"{name}.json"
        done = support.run(*[a for m in order.split() for a in ("--modality", f"{m}={files[m]}")], "--json", out, *more)
        assert done.returncode == 0, done.stderr
        return out

    def status(self, code, *arguments, said=None):
        done = support.run(*arguments)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout[-300:]} {done.stderr}")
        if said:
            self.assertIn(said, done.stderr)
        if code in (2, 3):
            self.assertEqual(len([l for l in done.stderr.splitlines() if l.startswith("spheremix-analyze: ")]) >= 1, True)
        return done

    def changes(self, *files):
        out = self.path / "c.json"
        done = support.run("--compare", *files, "--json", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(out.read_text())
        return {(r["scope"], r["key"]): r["cells"][1]["change"] for r in document["rows"]}, document, done.stdout

    def test_conditions_on_one_run(self):
        pair = ("--image", self.path / "i.npy", "--text", self.path / "t.npy")
        self.status(0, *pair, "--fail-if", "text-image.gap>1.5", "--fail-if", "image-text.gap>1.5")
        self.status(3, *pair, "--fail-if", "text-image.gap>0", said="image-text.gap is")
        self.status(3, *pair, "--fail-if", "text-image.cka>=0")
        self.status(3, *pair, "--fail-if", "gap>nan", said="no number")
        for bad in ("text-image.cone_angle>1", "image.recall1<0.5", "image-audio.gap>1", "nothing>1", "label_match<1", "image.gap>0", "image-text.uniformity<0"):
            done = self.status(2, *pair, "--json", self.path / "none.json", "--fail-if", bad)
            self.assertNotIn("Reading", done.stderr, "checked before the work")
            self.assertFalse((self.path / "none.json").exists())

    def test_figures_that_are_not_defined_fail(self):
        r = np.random.default_rng(2)
        np.save(self.path / "few.npy", r.standard_normal((3, 8)).astype("<f4"))
        np.save(self.path / "one.npy", np.ones((3, 8), "<f4"))
        pair = ("--image", self.path / "few.npy", "--text", self.path / "one.npy")
        for key in ("cka", "cka_debiased", "quiet_temperature"):
            for condition in (f"{key}>-9", f"image-text.{key}<-9", f"text-image.{key}==1"):
                self.status(3, *pair, "--fail-if", condition, said="cannot be judged")

    def test_what_a_pair_of_other_widths_lacks_is_known_before_the_work(self):
        wide, narrow, third = (support.save(self.path / f"{n}.npy", np.random.default_rng(d).standard_normal((40, d)).tolist()) for n, d in (("w", 12), ("n", 9), ("t", 12)))
        files = ("--modality", f"a={wide}", "--modality", f"b={narrow}", "--modality", f"c={third}")
        for condition, status in (("a-b.recall1<2", 2), ("b-c.gap>9", 2), ("c-b.uniformity_cross>9", 2), ("a-c.neighbour_overlap>2", 2), ("a-b.neighbour_overlap>2", 0), ("a-b.cka>2", 0),
                                  ("b-a.cka<2", 3), ("a-c.recall1<2", 3), ("c-a.gap>9", 0), ("a-b.hubness>99", 2)):
            with self.subTest(condition):
                done = support.run(*files, "--json", self.path / "w.json", "--fail-if", condition)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertEqual((self.path / "w.json").exists(), status != 2)
                if status != 2:
                    (self.path / "w.json").unlink()
        done = support.run("--modality", f"a={wide}", "--modality", f"b={narrow}", "--fail-if", "recall1<2")
        self.assertEqual(done.returncode, 2, done.stderr)
        support.run(*files, "--json", self.path / "w.json")
        for condition, status in (("a-b.recall1<0", 2), ("a-b.cka<0", 0), ("a-c.recall1!=0", 0)):
            done = support.run("--compare", self.path / "w.json", self.path / "w.json", "--fail-if", condition)
            self.assertEqual(done.returncode, status, done.stderr)

    def test_conditions_on_differences(self):
        rows, _, _ = self.changes(self.before, self.after)
        change = rows["image-text", "recall1"]["difference"]
        self.assertLess(change, 0)
        compare = ("--compare", self.before, self.after)
        self.status(3, *compare, "--fail-if", f"image-text.recall1<{change + 1e-6}", said="the difference of image-text.recall1 is")
        self.status(0, *compare, "--fail-if", f"image-text.recall1<{change - 1e-6}")
        self.status(3, *compare, "--fail-if", "alignment>0")
        self.status(3, *compare, "--fail-if", "text-image.alignment>0")
        self.status(3, *compare, "--fail-if", "quiet_temperature>9", said="cannot be judged") if rows["image-text", "quiet_temperature"]["difference"] is None else None
        for bad in ("image.recall1<0", "nothing<0", "image-audio.gap>0"):
            self.status(2, *compare, "--fail-if", bad)

    def test_options_that_would_be_dropped(self):
        file, out = self.path / "i.npy", self.path / "y.npy"
        self.status(2, "--fail-if", "gap>0", "fix", "--input", file, "--output", out, "--repair", "normalise", said="--fail-if has no effect with fix")
        self.assertFalse(out.exists())
        self.status(2, "--labels", "x.tsv:a", "slerp-path", "--image", file, "--from", "0", "--to", "1", said="--labels")
        self.status(2, "--compare", self.before, self.after, "--image", file, said="--image has no effect with --compare")
        self.status(2, "--compare", self.before, self.after, "--temperature", "0.1")

    def test_names_that_collide(self):
        for name in ("a", "b-c", "a-b", "c"):
            np.save(self.path / f"{name}.npy", self.i[:20])
        files = [f"{n}={self.path / (n + '.npy')}" for n in ("a", "b-c", "a-b", "c")]
        self.status(2, *[x for f in files for x in ("--modality", f)], said='both be called "a-b-c"')
        self.status(2, *[x for f in (files[0], f"b={self.path / 'c.npy'}", files[2]) for x in ("--modality", f)], said="a-b")

    def test_paired_intervals(self):
        rows, document, text = self.changes(self.before, self.after)
        t, i, w = unit(self.t), unit(self.i), unit(self.w)
        before, after = ranks(cosines(i, t)), ranks(cosines(w, t))
        wanted = {"alignment": ((w - t) ** 2).sum(1) - ((i - t) ** 2).sum(1), "mrr": 1 / after - 1 / before,
                  "positive_cosine": (w * t).sum(1) - (i * t).sum(1), "recall1": (after == 1) * 1.0 - (before == 1), "recall10": (after <= 10) * 1.0 - (before <= 10)}
        for key, d in wanted.items():
            change = rows["image-text", key]
            half = 1.96 * d.std(ddof=1) / np.sqrt(len(d))
            self.assertTrue(change["paired"], key)
            self.assertAlmostEqual(change["difference"], d.mean(), delta=1e-5, msg=key)
            for found, expected in zip(change["interval"], (d.mean() - half, d.mean() + half)):
                self.assertAlmostEqual(found, expected, delta=0.1 * half, msg=key)
        self.assertTrue(rows["image-text", "alignment"]["changed"])
        directions = {q["scope"]: q for q in document["queries"][0]}
        self.assertEqual(directions["image-text"]["lost"], [int(k) for k in np.flatnonzero((before == 1) & (after > 1))])
        self.assertEqual(directions["image-text"]["gained"], [int(k) for k in np.flatnonzero((before > 1) & (after == 1))])
        self.assertRegex(text, rf"R@1 of 400 queries: .*, {len(directions['image-text']['lost'])} hits \(first: [0-9, ]*\) lost")
        self.assertEqual(document["unlike"], [[]])

    def test_figures_of_whole_clouds_are_paired_to_first_order(self):
        """Against a bootstrap that draws the same rows of both runs."""
        rows, _, _ = self.changes(self.before, self.after)
        t, i, w = unit(self.t), unit(self.i), unit(self.w)
        r = np.random.default_rng(5)
        cone = lambda u: np.degrees(np.arccos(np.linalg.norm(u.mean(0))))
        def uniformity(u, draw):
            k = kernels[id(u)][np.ix_(draw, draw)]
            same = draw[:, None] == draw[None, :]
            return np.log(k[~same].mean())
        kernels = {id(u): np.exp(4 * (u @ u.T - 1)) for u in (i, w)}
        drawn = {"cone_angle": [], "uniformity": []}
        for _ in range(300):
            draw = r.integers(0, len(t), len(t))
            drawn["cone_angle"].append(cone(w[draw]) - cone(i[draw]))
            drawn["uniformity"].append(uniformity(w, draw) - uniformity(i, draw))
        for key, values in drawn.items():
            low, high = rows["image", key]["interval"]
            self.assertTrue(rows["image", key]["paired"])
            expected = np.percentile(values, 97.5) - np.percentile(values, 2.5)
            self.assertLess(abs(high - low - expected), 0.3 * expected, key)

    def test_no_query_changed(self):
        rows, document, text = self.changes(self.before, self.before)
        low, high = rows["image-text", "recall1"]["interval"]
        self.assertTrue(low < 0 < high < 0.01)
        self.assertIn("0 hits gained, 0 hits lost", text)

    def test_unlike_runs_are_told_first(self):
        other = self.measure("w", "other", "--temperature", "0.02")
        self.assertIn("temperature 0.07 and 0.02", self.changes(self.before, other)[2].splitlines()[0])
        single = self.measure("w", "single", "--precision", "single")
        self.assertIn("precision double and single", self.changes(self.before, single)[2].splitlines()[0])
        small = self.measure("i", "small", rows=60)
        rows, _, text = self.changes(self.before, small)
        for part in ("image has 400 and 60 rows", "image-text ranks among 400 and 60 candidates"):
            self.assertIn(part, text.splitlines()[0])
        self.assertNotIn("paired", rows["image-text", "recall1"])

    def test_the_other_order_of_modalities_is_matched(self):
        turned = self.measure("i", "turned", order="text image")
        rows, _, text = self.changes(self.before, turned)
        self.assertIn("figures are matched by name", text.splitlines()[0])
        for scope, key in (("image-text", "gap"), ("image-text", "cka"), ("image-text", "recall1"), ("text-image", "mrr"), ("image", "hubness"), ("image-text", "alignment")):
            self.assertAlmostEqual(rows[scope, key]["difference"], 0, places=9, msg=f"{scope}.{key}")


if __name__ == "__main__":
    support.main()
