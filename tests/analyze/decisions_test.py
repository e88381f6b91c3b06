"""Figures that a decision rests on: over which rows, in which precision, with which ties, for how few rows."""

import support
from oracle import (Sets, cone, cosines, debiased_cka, gap, log_mean_potential, mean_cosine, near_duplicates, np, occurrences, recalls, skewness, spectrum,
                    unit, wilson)


class Figures(Sets):
    def run_on(self, *more, dtype="<f4", **sets):
        files = [("--modality", f"{name}={self.put(name, rows, dtype)}") for name, rows in sets.items()]
        return support.report(*[a for pair in files for a in pair], *more)[0]

    def near(self, document, key, scope, expected, relative=1e-6):
        found = support.value(document, key, scope)
        self.assertIsNotNone(found, f"{scope}.{key}")
        self.assertLessEqual(abs(found - expected), relative * abs(expected) + (1e-12 if expected else relative), f"{scope}.{key}: {found} where NumPy has {expected}")

    def said(self, document):
        return "\n".join(r["text"] for r in document["readings"])


class Rows(Figures):
    def test_figures_of_a_pair_take_the_rows_of_both(self):
        r = np.random.default_rng(1)
        a = r.standard_normal((300, 12)) + 1
        b = a + r.standard_normal(a.shape)
        a[5:60] *= -1  # rows that b lacks move a's mean
        b[5:60] = 0
        b[70:75, 3] = np.nan
        a[80] = 0
        both = np.ones(300, bool)
        both[5:60] = both[70:75] = both[80] = False
        document = self.run_on(a=a, b=b)
        u, v = unit(a.astype("<f4")[both]), unit(b.astype("<f4")[both])
        for key, expected in gap(u, v).items():
            self.near(document, key, "a-b", expected)
        for name, rows in (("a", u), ("b", v)):
            self.near(document, "cone_angle", name, cone(rows))
            self.near(document, "mean_cosine", name, mean_cosine(rows))
            self.near(document, "uniformity", name, log_mean_potential(rows))
            self.near(document, "effective_rank", name, spectrum(rows)["effective_rank"])
        self.near(document, "alignment", "a-b", ((u - v) ** 2).sum(1).mean())
        self.near(document, "distribution_gap", "a-b",
                  np.exp(log_mean_potential(u)) + np.exp(log_mean_potential(v)) - 2 * np.exp(log_mean_potential(u, v)))
        for m in document["metrics"]:
            if "interval" in m and m["value"] is not None:
                self.assertTrue(m["interval"][0] <= m["value"] <= m["interval"][1], m)
        self.assertEqual([m["zero"]["count"] for m in (x["health"] for x in document["modalities"])], [1, 55])

    def test_a_third_modality_changes_nothing(self):
        r = np.random.default_rng(20)
        a = r.standard_normal((200, 16))
        b = a + 1.5 * r.standard_normal(a.shape)
        b[3] = 0
        c = a + r.standard_normal(a.shape)
        c[::2] = 0
        two, three = self.run_on(a=a, b=b), self.run_on(a=a, b=b, c=c)
        compared = 0
        for m in two["metrics"]:
            other = self.figure(three, m["key"], m["scope"])
            self.assertEqual((m["value"], m.get("interval")), (other["value"], other.get("interval")), m["scope"] + "." + m["key"])
            compared += 1
        self.assertGreater(compared, 60)
        both = (c != 0).any(1) & (b != 0).any(1)
        u, v, w = (unit(x.astype("<f4")[both]) for x in (b, c, a))
        for key, expected in gap(u, v).items():
            self.near(three, key, "b-c", expected)
        self.near(three, "recall1", "b-c", recalls(cosines(u, v))["recall1"])
        self.near(three, "distribution_gap", "b-c",
                  np.exp(log_mean_potential(u)) + np.exp(log_mean_potential(v)) - 2 * np.exp(log_mean_potential(u, v)))
        first = self.run_on(c=c, a=a, b=b)  # wherever the third one stands
        for key in ("recall1", "gap", "cka", "uniformity_joint"):
            self.near(first, key, "a-b", support.value(two, key, "a-b"), 1e-12)

    def test_captions_whose_picture_is_missing(self):
        r = np.random.default_rng(2)
        a = r.standard_normal((40, 8))
        owner = np.arange(120) // 3
        b = a[owner] + 0.7 * r.standard_normal((120, 8))
        a[4] = 0
        b[30:33] = np.nan  # all captions of picture 10
        (self.path / "index.txt").write_text("".join(f"{i}\n" for i in owner))
        document = self.run_on("--index", self.path / "index.txt", a=a, b=b)
        keep = np.ones(40, bool)
        keep[[4, 10]] = False
        held = keep[owner]
        expected = gap(unit(a.astype("<f4")[keep]), unit(b.astype("<f4")[held]))
        for key in ("gap", "cone_distance"):
            self.near(document, key, "a-b", expected[key])


class Precision(Figures):
    def test_narrow_cones_of_many_rows(self):
        for seed, noise, rows in ((14, 0.03, 8200), (15, 0.001, 300), (16, 1e-4, 400)):
            r = np.random.default_rng(seed)
            x = (np.ones(16) + noise * r.standard_normal((rows, 16)) * np.linspace(1, 0.05, 16)).astype("<f4")
            document = self.run_on(x=x)
            u = unit(x)
            self.near(document, "cone_angle", "x", cone(u))
            self.assertLess(abs(1 - support.value(document, "mean_cosine", "x") - (1 - mean_cosine(u))), 1e-6 * (1 - mean_cosine(u)) + 4e-16)
            for key, expected in spectrum(u).items():
                self.near(document, key, "x", expected)
            self.near(document, "uniformity", "x", log_mean_potential(u), 2e-6)

    def test_rank_to_a_millionth_of_the_largest_singular_value(self):
        r = np.random.default_rng(3)
        x = r.standard_normal((9000, 24))
        x[:, 0] += 3
        x[:, 20] *= 5e-6  # in use
        x[:, 21:] *= 1e-8  # not in use
        document = self.run_on(x=x, dtype="<f8")
        for key, expected in spectrum(unit(x)).items():
            self.near(document, key, "x", expected)
        self.assertEqual(support.value(document, "full_rank", "x"), 21)

    def test_duplicates_in_the_precision_of_the_file(self):
        r = np.random.default_rng(4)
        x = r.standard_normal((8400, 8))
        x[100] = x[7]
        x[200] = x[8] * (1 + 1e-12)  # another row in double, the same in single precision
        x[:, 5] = 1
        x[3, 5] = 1 + 1e-13  # not constant
        document = self.run_on(x=x, dtype="<f8")
        self.assertEqual(support.value(document, "duplicates", "x"), 1)
        self.assertEqual(support.value(document, "constant_columns", "x"), 0)

    def test_fewer_rows_than_columns(self):
        r = np.random.default_rng(13)
        x = r.standard_normal((60, 768)).astype("<f4")
        document = self.run_on(x=x)
        for key, expected in spectrum(unit(x)).items():
            self.near(document, key, "x", expected)
        s = np.linalg.svd(unit(x), compute_uv=False)
        p = s / s.sum() + 1e-7
        self.near(document, "rank_me", "x", np.exp(-(p * np.log(p)).sum()))


class Ties(Figures):
    def check_ranks(self, document, s, names):
        for scope, q in ((f"{names[0]}-{names[1]}", s), (f"{names[1]}-{names[0]}", s.T)):
            against, ties_for = recalls(q), recalls(q, True)
            own = np.diag(q)[:, None]
            self.near(document, "tied_queries", scope, ((q == own).sum(1) > 1).mean())
            for key, expected in against.items():
                self.near(document, key, scope, expected)
                self.assertAlmostEqual(self.figure(document, key, scope).get("ties_for", expected), ties_for[key], places=9, msg=key)
            self.near(document, "hubness", scope, skewness(occurrences(q)), 1e-5)
            self.near(document, "top_hub", scope, occurrences(q).max() / len(q))

    def test_binary_rows(self):
        for seed, rows, width, more in ((22, 600, 96, ()), (23, 300, 31, ("--precision", "single"))):
            r = np.random.default_rng(seed)
            t = r.integers(0, 2, (rows, width)) * 2 - 1
            i = np.where(r.random(t.shape) < 0.34, -t, t)
            document = self.run_on(*more, i=i, t=t)
            self.check_ranks(document, cosines(i, t, whole=True), "it")

    def test_sparse_rows_of_whole_numbers(self):
        for seed, more in ((5, ()), (6, ("--precision", "single"))):
            r = np.random.default_rng(seed)
            t = (r.random((400, 40)) < 0.12) * r.integers(1, 4, (400, 40))
            t[:, 0] += (t == 0).all(1)
            i = np.where(r.random(t.shape) < 0.06, 1, t)
            document = self.run_on(*more, i=i, t=t)
            self.check_ranks(document, cosines(i, t, whole=True), "it")

    def test_ranks_of_plain_rows_in_single_precision(self):
        r = np.random.default_rng(9)
        t = r.standard_normal((500, 16)).astype("<f4")
        i = (t + 2 * r.standard_normal(t.shape)).astype("<f4")
        t[40:60] = t[40]
        document = self.run_on("--precision", "single", i=i, t=t)
        self.check_ranks(document, cosines(i, t), "it")

    def test_many_copies_are_no_hubs_whatever_their_order(self):
        r = np.random.default_rng(4)
        x = r.standard_normal((600, 32)).astype("<f4")
        x[r.permutation(600)[:150]] = x[0]
        for rows in (x, x[r.permutation(600)]):
            document = self.run_on(x=rows)
            count = occurrences(cosines(rows, rows), within=True)
            self.near(document, "top_hub", "x", count.max() / 599)
            self.near(document, "hubness", "x", skewness(count))
            self.assertGreaterEqual(self.figure(document, "hubness", "x")["tied"], 150)

    def test_copies_do_not_hide_near_duplicates(self):
        for more in ((), ("--precision", "single")):
            r = np.random.default_rng(3)
            x = r.standard_normal((300, 32)).astype("<f4")
            x[10:40] = x[10]
            x[250] = x[10] + np.float32(1e-3) * r.standard_normal(32).astype("<f4")
            x[251] = 2 * x[99]
            document = self.run_on(*more, x=x)
            self.assertEqual(support.value(document, "near_duplicates", "x"), near_duplicates(x, unit(x) @ unit(x).T))
            self.assertEqual(support.value(document, "duplicates", "x"), 29)

    def test_a_set_given_twice_is_not_shifted(self):
        r = np.random.default_rng(8)
        half = r.standard_normal((100, 16))
        x = np.vstack([half, half])
        document = self.run_on(a=x, b=x)
        self.assertEqual(support.value(document, "offset_share", "a-b"), 0)
        self.assertNotIn("shifted", self.said(document))
        self.assertEqual(support.value(document, "recall1", "a-b"), 0)
        self.assertEqual(self.figure(document, "recall1", "a-b")["ties_for"], 1)
        moved = self.run_on(a=x, b=np.roll(x, 3, 0))
        self.assertIn("shifted", self.said(moved))


class Few(Figures):
    def test_rank_against_what_the_rows_can_fill(self):
        r = np.random.default_rng(13)
        level = lambda x: self.figure(self.run_on(x=x), "effective_rank", "x")["level"]
        self.assertEqual(level(r.standard_normal((60, 768))), "fine")
        self.assertEqual(level(r.standard_normal((300, 768))), "fine")
        self.assertEqual(level(np.vstack([r.standard_normal((20, 768))] * 3)), "look")

    def test_pairs_that_find_each_other_among_few(self):
        r = np.random.default_rng(18)
        t = r.standard_normal((24, 32))
        i = t + 0.2 * r.standard_normal(t.shape)
        i[14:] = -t[14:] + 0.5 * r.standard_normal((10, 32))
        document = self.run_on(i=i, t=t)
        self.assertNotIn("do not find each other", self.said(document))
        x = r.standard_normal((5, 8))
        five = self.run_on(a=x, b=x[::-1])  # one of five by chance: nothing can be said
        self.assertNotIn("do not find each other", self.said(five))
        self.assertIn("too few to tell from chance", self.figure(five, "recall1", "a-b")["reading"])
        self.assertIn("whatever the rows are", self.figure(five, "recall10", "a-b")["reading"])
        x, y = r.standard_normal((2, 60, 16))
        self.assertIn("do not find each other", self.said(self.run_on(x=x, y=y)))

    def test_no_hit_has_an_interval(self):
        r = np.random.default_rng(11)
        for hits in (0, 60, 1):
            x = r.standard_normal((60, 32))
            y = -x
            y[:hits] = x[:hits]
            document = self.run_on(x=x, y=y)
            self.assertEqual(support.value(document, "recall1", "x-y"), hits / 60)
            for found, expected in zip(self.figure(document, "recall1", "x-y")["interval"], wilson(hits / 60, 60)):
                self.assertAlmostEqual(found, expected, places=5)

    def test_cka_of_few_rows(self):
        r = np.random.default_rng(21)
        for n, d, noise in ((60, 768, None), (12, 40, None), (80, 20, 1.0)):
            x = r.standard_normal((n, d)).astype("<f4")
            y = (r.standard_normal((n, d)) if noise is None else x + noise * r.standard_normal((n, d))).astype("<f4")
            document = self.run_on(x=x, y=y)
            expected = debiased_cka(unit(x), unit(y))
            self.assertAlmostEqual(support.value(document, "cka_debiased", "x-y"), expected, places=9)
            low, high = self.figure(document, "cka_debiased", "x-y")["interval"]
            self.assertTrue(low <= expected <= high and high - low < 1)
        equal = self.run_on(x=np.tile(x[:1], (30, 1)), y=y[:30])
        self.assertIsNone(support.value(equal, "cka", "x-y"))
        self.assertIsNone(support.value(equal, "cka_debiased", "x-y"))

    def test_quantiles_are_interpolated(self):
        r = np.random.default_rng(17)
        x = (unit(r.standard_normal((10, 8))) * np.arange(1, 11)[:, None]).astype("<f4")
        document = self.run_on(x=x)
        p = np.percentile(np.linalg.norm(x.astype(float), axis=1), [0, 5, 50, 95, 100])
        self.near(document, "norm_spread", "x", (p[3] - p[1]) / p[2])
        for found, expected in zip(document["modalities"][0]["norms"].values(), p):
            self.assertAlmostEqual(found, expected, places=6)


class Fix(Figures):
    def test_rows_that_are_missing_stay_missing(self):
        r = np.random.default_rng(15)
        x = (r.standard_normal((100, 6)) + 1).astype("<f4")
        x[::20] = 0
        file = self.put("x", x)
        for repair in ("whiten", "centre", "normalise"):
            done = support.run("fix", "--input", file, "--output", self.path / "y.npy", "--repair", repair)
            self.assertEqual(done.returncode, 2, repair)
            self.assertIn("drop-bad", done.stderr)
            self.assertFalse((self.path / "y.npy").exists())
        done = support.run("fix", "--input", file, "--output", self.path / "y.npy", "--repair", "drop-bad", "whiten")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(np.load(self.path / "y.npy").shape, (95, 6))
        done = support.run("fix", "--input", self.put("one", np.ones((9, 3))), "--output", self.path / "z.npy", "--repair", "whiten")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no variance", done.stderr)


if __name__ == "__main__":
    support.main()
