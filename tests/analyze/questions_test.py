"""Labels, versions of one set, repairs beside another file: against their definitions."""
import json

import support
from oracle import Sets, cosines, np, occurrences, ranks, skewness, unit, wilson


class Questions(Sets):
    def orthogonal(self, d, seed=1):
        return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


class Labels(Questions):
    def test_classes(self):
        r = np.random.default_rng(1)
        n, kinds = 240, 4
        of = r.integers(0, kinds, n)
        centres = 2 * r.standard_normal((kinds, 24))
        x = (centres[of] + r.standard_normal((n, 24))).astype("<f4")
        y = (x + 2 * r.standard_normal(x.shape)).astype("<f4")
        labels = of.copy()
        wrong = r.permutation(n)[:8]
        labels[wrong] = (of[wrong] + 1) % kinds
        text = [f"class {c}" for c in labels]
        text[5] = ""
        labels[5] = -1
        (self.path / "l.tsv").write_text("kind\n" + "".join(t + "\n" for t in text))
        document, _ = support.report("--image", self.put("x", x), "--text", self.put("y", y), "--labels", f"{self.path / 'l.tsv'}:kind")
        has = labels >= 0
        s = cosines(x, x)
        np.fill_diagonal(s, -2)
        match = (labels[s.argmax(1)] == labels)[has].mean()
        m = self.figure(document, "label_match", "image")
        self.assertAlmostEqual(m["value"], match, places=9)
        for found, expected in zip(m["interval"], wilson(match, has.sum())):
            self.assertAlmostEqual(found, expected, places=5)
        sizes = np.array([(labels == c).sum() for c in range(kinds)])
        self.assertAlmostEqual(m["chance"], (sizes * (sizes - 1)).sum() / (has.sum() * (n - 1)), places=9)
        q = cosines(x, y)
        m = self.figure(document, "class_match", "image-text")
        self.assertAlmostEqual(m["value"], (labels[q.argmax(1)] == labels)[has].mean(), places=9)
        self.assertAlmostEqual(m["chance"], (sizes**2).sum() / has.sum() / n, places=9)
        near = np.argsort(-s, axis=1)[:, :10]
        votes = np.array([[(labels[near[i]] == c).sum() for c in range(kinds)] for i in range(n)]) / (labels[near] >= 0).sum(1)[:, None]
        other = np.array([max(votes[i, c] for c in range(kinds) if c != labels[i]) for i in range(n)])
        self.assertAlmostEqual(self.figure(document, "label_noise", "image")["value"], (other[has] > 0.5).mean(), places=9)
        suspects = document["modalities"][0]["label_noise"]
        self.assertGreaterEqual(len({s["id"] for s in suspects[:10]} & set(wrong.tolist())), 6)
        self.assertEqual([s["for_other"] - s["own"] for s in suspects], sorted((s["for_other"] - s["own"] for s in suspects), reverse=True))
        classes = document["pairs"][0]["classes"]
        u, v = unit(x), unit(y)
        hits = ranks(q) == 1
        for c in classes["forward"]["classes"]:
            rows = labels == int(c["label"].split()[1])
            self.assertEqual(c["rows"], rows.sum())
            self.assertAlmostEqual(c["recall1"]["value"], hits[rows].mean(), places=9)
        for c in classes["gap"]:
            rows = labels == int(c["label"].split()[1])
            self.assertAlmostEqual(c["value"], np.linalg.norm(u[rows].mean(0) - v[rows].mean(0)), places=9)
            drawn = [np.linalg.norm((u - v)[r.permutation(n)[:rows.sum()]].mean(0)) for _ in range(300)]
            self.assertLess(abs(c["chance"] / np.mean(drawn) - 1), 0.1)
        confusion = np.zeros((kinds, kinds))
        for i in np.flatnonzero(has):
            if labels[q[i].argmax()] >= 0:
                confusion[labels[i], labels[q[i].argmax()]] += 1
        order = [int(c.split()[1]) for c in classes["forward"]["labels"]]
        self.assertEqual([row[:-1] for row in classes["forward"]["confusion"]], confusion[np.ix_(order, order)].tolist())


class Drift(Questions):
    def drift(self, old, new, *more):
        out = self.path / "d.json"
        done = support.run("--drift", old, new, "--json", out, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(out.read_text())

    def test_figures(self):
        r = np.random.default_rng(2)
        x = r.standard_normal((300, 12))
        y = x + 0.3 * r.standard_normal(x.shape)
        y[[17, 40]] *= -1
        d = self.drift(self.put("x", x), self.put("y", y))
        u, v = unit(x.astype("<f4")), unit(y.astype("<f4"))
        near = []
        for w in (u, v):
            s = w @ w.T
            np.fill_diagonal(s, -2)
            near.append(np.argsort(-s, axis=1)[:, :10])
        self.assertAlmostEqual(self.figure(d, "neighbour_overlap", "old-new")["value"], np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*near)]), places=9)
        self.assertAlmostEqual(self.figure(d, "moved", "old-new")["value"], ((u - v) ** 2).sum(1).mean(), places=9)
        k = lambda a, b: np.exp(-2 * ((a[:, None] - b[None]) ** 2).sum(2))
        n = len(u)
        mmd = (k(u, u).sum() - n) / n / (n - 1) + (k(v, v).sum() - n) / n / (n - 1) - 2 * k(u, v).mean()
        self.assertAlmostEqual(self.figure(d, "mmd", "old-new")["value"], mmd, places=12)
        self.assertEqual({row["row"] for row in d["moved"][:2]}, {17, 40})

    def test_a_rotation_is_told(self):
        r = np.random.default_rng(3)
        x = r.standard_normal((400, 16)) + 0.5
        d = self.drift(self.put("x", x), self.put("y", x @ self.orthogonal(16)))
        self.assertGreater(self.figure(d, "moved", "old-new")["value"], 0.5)
        self.assertLess(self.figure(d, "moved_turned", "old-new")["value"], 1e-6)
        self.assertAlmostEqual(self.figure(d, "neighbour_overlap", "old-new")["value"], 1, places=2)
        self.assertIn("the new version is turned", " ".join(t["text"] for t in d["readings"]))

    def test_p_of_versions_that_do_and_do_not_differ(self):
        small = []
        for seed in range(12):
            r = np.random.default_rng(seed)
            d = self.drift(self.put("x", r.standard_normal((60, 8))), self.put("y", r.standard_normal((80 if seed % 2 else 60, 8))))
            small.append(self.figure(d, "mmd_p", "old-new")["value"])
        self.assertLessEqual(sum(p <= 0.05 for p in small), 3)
        r = np.random.default_rng(5)
        d = self.drift(self.put("x", r.standard_normal((60, 8))), self.put("y", r.standard_normal((80, 8)) + 0.8))
        self.assertEqual(self.figure(d, "mmd_p", "old-new")["value"], 1 / 500)
        self.assertEqual(d["moved"], [])
        done = support.run("--drift", self.path / "x.npy", self.path / "y.npy", "--fail-if", "mmd_p<0.01")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(support.run("--drift", self.path / "x.npy", self.path / "y.npy", "--fail-if", "moved>0").returncode, 3)
        self.assertEqual(support.run("--drift", self.path / "x.npy", self.path / "y.npy", "--fail-if", "gap>0").returncode, 2)

    def test_versions_of_other_widths(self):
        r = np.random.default_rng(6)
        x = r.standard_normal((200, 10))
        d = self.drift(self.put("x", x), self.put("y", x @ r.standard_normal((10, 30))))
        self.assertGreater(self.figure(d, "neighbour_overlap", "old-new")["value"], 0.3)
        self.assertEqual([m["key"] for m in d["metrics"]], ["neighbour_overlap", "cka_debiased"])


class Repairs(Questions):
    def test_align(self):
        r = np.random.default_rng(7)
        x = r.standard_normal((300, 20)).astype("<f4")
        y = ((x + 0.4 * r.standard_normal(x.shape)) @ self.orthogonal(20)).astype("<f4")
        y[9] = 0
        out = self.path / "z.npy"
        done = support.run("fix", "--input", self.put("y", y), "--to", self.put("x", x), "--output", out, "--repair", "align", "--json", self.path / "f.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        keep = np.arange(300) != 9
        a, s, b = np.linalg.svd(unit(y[keep]).T @ unit(x[keep]))
        z = np.load(out)
        self.assertLess(np.abs(z - y.astype(float) @ (a @ b)).max(), 1e-5)
        self.assertEqual(np.abs(z[9]).max(), 0)
        said = json.loads((self.path / "f.json").read_text())
        after = (ranks(cosines(z[keep], x[keep])) == 1).mean()
        self.assertAlmostEqual(said["after"]["pairs"]["recall1"], after, places=6)
        self.assertAlmostEqual(said["before"]["pairs"]["recall1"], (ranks(cosines(y[keep], x[keep])) == 1).mean(), places=6)
        self.assertGreater(said["after"]["pairs"]["held_out_recall1"], 0.8)
        (self.path / "p.txt").write_text("".join(f"{i} {i}\n" for i in range(100)))
        done = support.run("fix", "--input", self.path / "y.npy", "--to", self.path / "x.npy", "--output", out, "--repair", "align", "--pairs", self.path / "p.txt")
        keep = (np.arange(300) != 9) & (np.arange(300) < 100)
        a, s, b = np.linalg.svd(unit(y[keep]).T @ unit(x[keep]))
        self.assertLess(np.abs(np.load(out) - y.astype(float) @ (a @ b)).max(), 1e-5)

    def test_a_rotation_is_proved_or_refuted(self):
        r = np.random.default_rng(8)
        x = r.standard_normal((400, 16))
        document, said = support.report("--image", self.put("x", x), "--text", self.put("y", x @ self.orthogonal(16)))
        self.assertGreater(support.value(document, "recall1_turned", "image-text"), 0.99)
        self.assertIn("one space is rotated", said)
        bent = np.hstack([x[:, :8] ** 2, np.abs(x[:, 8:])]) + 0.2 * x
        document, said = support.report("--image", self.path / "x.npy", "--text", self.put("z", bent[:, ::-1]))
        self.assertLess(support.value(document, "recall1_turned", "image-text"), 0.5)
        self.assertNotIn("one space is rotated", said)

    def test_csls(self):
        r = np.random.default_rng(9)
        x = r.standard_normal((250, 30)) + 0.6
        y = (x + 3 * r.standard_normal(x.shape)).astype("<f4")
        x = x.astype("<f4")
        out, other = self.path / "x2.npy", self.path / "y2.npy"
        done = support.run("fix", "--input", self.put("x", x), "--to", self.put("y", y), "--output", out, "--output-to", other, "--repair", "csls", "--json", self.path / "f.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        s = unit(x) @ unit(y).T
        csls = 2 * s - np.sort(s, 1)[:, -10:].mean(1)[:, None] - np.sort(s, 0)[-10:].mean(0)
        u, v = np.load(out).astype(float), np.load(other).astype(float)
        scale = (u @ v.T / csls).mean()
        self.assertLess(np.abs(u @ v.T - csls * scale).max(), 1e-6)
        self.assertLess(np.abs(np.linalg.norm(np.vstack([u, v]), axis=1) - 1).max(), 1e-6)
        said = json.loads((self.path / "f.json").read_text())
        self.assertAlmostEqual(said["after"]["pairs"]["recall1"], (ranks(csls) == 1).mean(), places=6)
        self.assertAlmostEqual(said["after"]["pairs"]["hubness"], skewness(occurrences(csls)), places=6)
        self.assertLess(said["after"]["pairs"]["hubness"], said["before"]["pairs"]["hubness"])

    def test_options_that_go_together(self):
        file = self.put("x", np.eye(4))
        for arguments in (("--repair", "align"), ("--repair", "csls", "--to", file), ("--repair", "centre", "--to", file), ("--repair", "normalise", "--pairs", file)):
            done = support.run("fix", "--input", file, "--output", self.path / "o.npy", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertFalse((self.path / "o.npy").exists())


if __name__ == "__main__":
    support.main()
