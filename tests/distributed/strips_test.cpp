// Every loss over W ranks in float, and what is told of rows by their number in the whole batch.
#include "distributed/counted_product.hpp"
#include "distributed/failing_memory.hpp"
#include "distributed/rank_checks.hpp"
#include "support/refusal.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("ranks: W ranks are one process, in float") {
  check_one_process(loss_cases<float>(), 64 * double(core::epsilon<float>));
}

TEST_CASE("ranks: several strips and threads, delays: the same bits") {
  for (const LossCase<float>& c : loss_cases<float>()) {
    const std::string name = c.name;
    CAPTURE(name);
    LossCall<float> call(c.batches, 600, 24);
    // The least of these in which it can be done.
    if (c.has_budget) call.budget = std::size_t(1) << 20;
    while (!refusal([&] { (void)c.gradient(call); }).empty()) call.budget *= 2;
    double off = -1;
    const auto first = run_ranks(c, call, 3, Cut::uneven, off, {.threads = 1});
    CHECK(off <= 64 * double(core::epsilon<float>));
    for (const int threads : {2, 4}) {
      const auto again = run_ranks(c, call, 3, Cut::uneven, off,
                                   {.threads = threads, .delays = unsigned(threads)});
      for (std::size_t r = 0; r < 3; ++r) CHECK(same_bits(first[r], again[r]));
    }
  }
}

TEST_CASE("ranks: a rank computes its part of the products") {
  constexpr int size = 4;
  const Index n = 1000, d = 8;
  int counted = 0;
  const auto part_of = [&](const std::string& name, double all, const auto& call) {
    CAPTURE(name);
    std::vector<double> part(size);
    const auto errors = on_ranks(size, [&](ThreadRank& rank) {
      multiply_adds = 0;
      call(n * rank.rank() / size, n / size, rank);
      part[std::size_t(rank.rank())] = multiply_adds;
    });
    for (const std::string& error : errors) CHECK(error == "");
    if (all < 0.3 * double(n) * double(n) * double(d)) return;  // no table of pairs
    ++counted;
    // clip_m2_mix has a route of 12 n^2 d for one process, and 18 of each rank's rows.
    const double most = name == "clip_m2_mix" ? 1.6 : 1.2;
    CHECK(*std::max_element(part.begin(), part.end()) <= most * all / size);
  };
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  for (const LossCase<float>& c : loss_cases<float>()) {
    const LossCall<float> whole(c.batches, n, d);
    multiply_adds = 0;
    (void)c.gradient(whole);
    part_of(c.name, multiply_adds, [&](Index at, Index count, ThreadRank& rank) {
      core::Workspace workspace;
      (void)c.across(whole.part(at, count), workspace, rank);
    });
  }
  const auto metric = [&](const std::string& name, const auto& call) {
    const LossCall<float> whole(2, n, d);
    multiply_adds = 0;
    call(whole);
    part_of(name, multiply_adds,
            [&](Index at, Index count, AnyRank& rank) { call(whole.part(at, count), rank); });
  };
#define SPHEREMIX_METRIC(NAME, ...)                             \
  metric(#NAME, [](const LossCall<float>& c, auto&... world) {  \
    const RowMatrix<float>&x = c.batches[0], &y = c.batches[1]; \
    (void)y;                                                    \
    (void)metrics::NAME(__VA_ARGS__, world...);                 \
  })
  SPHEREMIX_METRIC(uniformity, x, metrics::UniformityOptions{});
  SPHEREMIX_METRIC(cross_uniformity, x, y, metrics::UniformityOptions{});
  SPHEREMIX_METRIC(relative_alignment, x, y);
  SPHEREMIX_METRIC(hubness, x, metrics::HubnessOptions{});
  SPHEREMIX_METRIC(nearest, x, metrics::NearestOptions{});
  SPHEREMIX_METRIC(hardness, x, y, y);
  SPHEREMIX_METRIC(mean_average_precision, x, c.label);
  SPHEREMIX_METRIC(contrastive_calibration, x, y, metrics::ContrastiveCalibrationOptions{});
#undef SPHEREMIX_METRIC
  omp_set_num_threads(threads);
  CHECK(counted >= 20);
}

TEST_CASE("ranks: a rank computes its part of d x d products, which are in double") {
  constexpr int size = 4;
  const Index n = 1000, d = 64;
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  int counted = 0;
  for (const LossCase<float>& c : loss_cases<float>()) {
    if (c.name != "barlow_twins" && c.name != "vicreg") continue;
    CAPTURE(c.name);
    const LossCall<float> whole(c.batches, n, d);
    wide_multiply_adds = 0;
    (void)c.gradient(whole);
    const double all = wide_multiply_adds;
    CHECK(all >= 3 * double(n * d * d));
    const auto errors = on_ranks(size, [&](ThreadRank& rank) {
      core::Workspace workspace;
      wide_multiply_adds = 0;
      (void)c.across(whole.part(n * rank.rank() / size, n / size), workspace, rank);
      if (!(wide_multiply_adds <= 1.2 * all / size)) throw std::runtime_error("too many");
    });
    for (const std::string& error : errors) CHECK(error == "");
    ++counted;
  }
  omp_set_num_threads(threads);
  CHECK(counted == 2);
}

TEST_CASE("ranks: bytes sent are those of the table") {
  const Index n = 600, d = 64;
  const auto traffic = [&](const std::string& name) {
    const auto all = loss_cases<float>();
    const auto c =
        std::find_if(all.begin(), all.end(), [&](const auto& l) { return l.name == name; });
    REQUIRE(c != all.end());
    double off = -1;
    std::size_t sent = 0;
    run_ranks(*c, LossCall<float>(c->batches, n, d), 3, Cut::even, off, {}, &sent);
    return double(sent);
  };
  const auto between = [](double sent, double least, double most) {
    CHECK(sent >= least);
    CHECK(sent <= most);
  };
  const double part = 2.0 / 3, meeting = 2 * double(sizeof(core::Record)), meetings = 6 * meeting;
  const double rows = 2 * part * double(n * d) * 4, columns = 28 * part * double(n);
  between(traffic("siglip"), rows, 1.02 * rows + meetings);
  between(traffic("clip"), rows, 1.02 * (rows + columns) + meetings);
  between(traffic("mixup_cross_entropy"), meeting, meetings);
  // By shares: rows to all, gradients back; one lambda a row there and back.
  between(traffic("m2_mix"), 2 * rows, 1.02 * (2 * rows + 40 * part * double(n)) + 2 * meetings);
  // By half a ring: a block of each batch to the next rank, its gradient and a number a row home.
  const double half = 2 * double(n / 3 * d) * 4;
  between(traffic("align_uniform"), 2 * half, 1.02 * 2 * half + 2 * meetings);
}

TEST_CASE("ranks: one lambda for all rows, and partners by their number in the whole batch") {
  const Index n = 11;
  const LossCall<double> call(2, n, 5);
  const std::vector<Index> partners{3, 0, 7, 10, 2, 1, 9, 4, 5, 8, 6};
  const auto logits =
      losses::mixup_cross_entropy_with_gradient(call.batches[0], call.first, call.second, 0.3);
  const auto mixed = losses::v_mix_with_gradient(call.batches[0], call.batches[1], 0.3,
                                                 {.temperature = 0.3, .partners = partners});
  for (const Cut cut : kCuts) {
    const auto first = blocks(n, 3, cut);
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const Index at = first[std::size_t(rank.rank())],
                  count = first[std::size_t(rank.rank() + 1)] - at;
      const auto mine = call.part(at, count);
      const auto one = losses::mixup_cross_entropy_with_gradient(mine.batches[0], mine.first,
                                                                 mine.second, 0.3, rank);
      const std::vector<Index> own(partners.begin() + at, partners.begin() + at + count);
      const auto two = losses::v_mix_with_gradient(mine.batches[0], mine.batches[1], 0.3,
                                                   {.temperature = 0.3, .partners = own}, rank);
      const auto off = [](const char* what, double by) {
        if (!(by <= 1e-12)) throw std::runtime_error(what + std::to_string(by));
      };
      off("mixup loss ", apart(one.loss, logits.loss));
      off("mixup lambda ", apart(one.lambda, logits.lambda));
      off("v_mix loss ", apart(two.loss, mixed.loss));
      off("v_mix lambda ", apart(two.lambda, mixed.lambda));
      off("v_mix x ", apart(two.x, RowMatrix<double>(mixed.x.middleRows(at, count))));
    });
    for (const auto& error : errors) CHECK(error == "");
  }
  const auto other = on_ranks(2, [&](ThreadRank& rank) {
    (void)losses::mixup_cross_entropy(call.batches[0], call.first, call.second,
                                      rank.rank() == 0 ? 0.3 : 0.4, rank);
  });
  CHECK(other[0] == "mixup_cross_entropy: rank 1 of 2 has other options than rank 0");
}

TEST_CASE("ranks: a second call takes no memory but for what the caller gets") {
  const Index n = 300, d = 64;
  for (const LossCase<float>& c : loss_cases<float>()) {
    CAPTURE(c.name);
    const LossCall<float> call(c.batches, n, d);
    const auto errors = on_ranks(2, [&](ThreadRank& rank) {
      WeighedRank weighed(rank);
      const auto mine = call.part(n / 2 * rank.rank(), n / 2);
      core::Workspace workspace;
      const auto held = [&] {
        (void)c.across(mine, workspace, weighed);
        return workspace.capacity() + workspace.beside().capacity();
      };
      const std::size_t first = held();
      put_weight({});
      const std::size_t more = held() - first;
      // The gradients and the test's copy of them; numbers of the rows, as lambda, are widened.
      const std::size_t gradients = 2 * c.batches * std::size_t(n / 2 * d) * sizeof(float);
      if (more != 0 || weight().most > long(gradients) + 24 * n)
        throw std::runtime_error(std::to_string(more) + ", " + std::to_string(weight().most));
    });
    for (const auto& error : errors) CHECK(error == "");
  }
}

TEST_CASE("ranks: a second call writes to the matrices of the first") {
  const LossCall<float> call(2, 300, 16);
  const auto errors = on_ranks(2, [&](ThreadRank& rank) {
    const auto mine = call.part(150 * rank.rank(), 150);
    core::Workspace workspace;
    losses::ContrastiveGradient<RowMatrix<float>> out;
    const auto place = [&] {
      losses::clip_with_gradient(mine.batches[0], mine.batches[1], {}, workspace, out, rank);
      return out.x.data();
    };
    const float* const first = place();
    if (place() != first) throw std::runtime_error("x has moved");
  });
  for (const auto& error : errors) CHECK(error == "");
}

TEST_CASE("ranks: sup_remix of renormalised mixtures") {
  const Index n = 14;
  const LossCall<double> call(1, n, 5);
  for (const bool detach : {true, false}) {
    const losses::SupRemixOptions options{
        .temperature = 0.3, .window = 1.5, .detach = detach, .renormalise = true};
    const auto one = losses::sup_remix_with_gradient(call.batches[0], call.label, 0.3, options);
    for (const Cut cut : kCuts) {
      const auto first = blocks(n, 3, cut);
      const auto errors = on_ranks(3, [&](ThreadRank& rank) {
        const Index at = first[std::size_t(rank.rank())],
                    count = first[std::size_t(rank.rank() + 1)] - at;
        const auto mine = call.part(at, count);
        const auto g =
            losses::sup_remix_with_gradient(mine.batches[0], mine.label, 0.3, options, rank);
        const double value = losses::sup_remix(mine.batches[0], mine.label, 0.3, options, rank);
        const double scale = one.x.cwiseAbs().maxCoeff();
        double off = (std::max)(apart(g.loss, one.loss), apart(value, one.loss));
        off = (std::max)(off, apart(g.log_temperature, one.log_temperature));
        if (count > 0)
          off = (std::max)(off, (g.x - one.x.middleRows(at, count)).cwiseAbs().maxCoeff() / scale);
        if (!(off <= 1e-12) || g.x.rows() != count) throw std::runtime_error(std::to_string(off));
      });
      for (const auto& error : errors) CHECK(error == "");
    }
  }
}

TEST_CASE("ranks: encoders in chunks, on a rank without rows, too") {
  const Index n = 11;
  const LossCall<double> call(2, n, 4);
  const RowMatrix<double> weights = unit_rows<double>(4, 3, 7);
  struct Encoder {
    RowMatrix<double> in, weights, gradient = RowMatrix<double>::Zero(4, 3);
    RowMatrix<double> operator()(Index at, Index count) const {
      return in.middleRows(at, count) * weights;
    }
    auto back() {
      return [this](Index at, Index count, const auto& g) {
        gradient += in.middleRows(at, count).transpose() * g;
      };
    }
  };
  const auto run = [&](const LossCall<double>& mine, Encoder& x, Encoder& y, auto&... world) {
    x.in = mine.batches[0], y.in = mine.batches[1];
    return losses::grad_cache<double>(
        mine.batches[0].rows(), 2, x, y,
        [&](const auto& a, const auto& b) {
          return losses::clip_with_gradient(a, b, {.temperature = 0.3}, world...);
        },
        x.back(), y.back());
  };
  Encoder x{{}, weights}, y{{}, weights};
  const double loss = run(call, x, y).loss;
  for (const Cut cut : kCuts) {
    const auto first = blocks(n, 3, cut);
    RowMatrix<double> dx[3], dy[3];
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const std::size_t r = std::size_t(rank.rank());
      Encoder a{{}, weights}, b{{}, weights};
      const double mine = run(call.part(first[r], first[r + 1] - first[r]), a, b, rank).loss;
      dx[r] = a.gradient, dy[r] = b.gradient;
      if (!(apart(mine, loss) <= 1e-12)) throw std::runtime_error("another loss");
    });
    for (const auto& error : errors) CHECK(error == "");
    CHECK(apart(RowMatrix<double>(dx[0] + dx[1] + dx[2]), x.gradient) <= 1e-12);
    CHECK(apart(RowMatrix<double>(dy[0] + dy[1] + dy[2]), y.gradient) <= 1e-12);
  }
}

TEST_CASE("ranks: targets as pairs and as matrices, one gradient alone") {
  const Index n = 9;
  const LossCall<double> call(2, n, 4);
  const RowMatrix<double>&x = call.batches[0], &y = call.batches[1];
  std::vector<Index> rows, cols;
  std::vector<double> weights;
  RowMatrix<double> soft = RowMatrix<double>::Zero(n, n);
  for (Index i = 0; i < n; ++i)
    for (const Index j : {i, (i * 4 + 2) % n}) {
      rows.push_back(i);
      cols.push_back(j);
      weights.push_back(0.25 * double(1 + (i + j) % 4));
      soft(i, j) += weights.back();
    }
  const auto one =
      losses::clip_with_gradient(x, y, losses::pairs(rows, cols, weights), {.temperature = 0.3});
  for (const Cut cut : kCuts) {
    const auto first = blocks(n, 3, cut);
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const Index at = first[std::size_t(rank.rank())],
                  count = first[std::size_t(rank.rank() + 1)] - at;
      const RowMatrix<double> a = x.middleRows(at, count), b = y.middleRows(at, count);
      std::vector<Index> r, c;
      std::vector<double> w;
      for (std::size_t k = 0; k < rows.size(); ++k)
        if (rows[k] >= at && rows[k] < at + count)
          r.push_back(rows[k] - at), c.push_back(cols[k]), w.push_back(weights[k]);
      const RowMatrix<double> p = soft.middleRows(at, count);
      const auto listed =
          losses::clip_with_gradient(a, b, losses::pairs(r, c, w), {.temperature = 0.3}, rank);
      const auto dense =
          losses::clip_with_gradient(a, b, losses::soft(p), {.temperature = 0.3}, rank);
      struct {
        double loss, log_temperature;
        RowMatrix<double> x;
      } only;
      core::Workspace workspace;
      losses::clip_with_gradient(a, b, losses::ClipOptions{.temperature = 0.3}, workspace, only,
                                 rank);
      const auto both = losses::clip_with_gradient(a, b, {.temperature = 0.3}, rank);
      const auto off = [](const char* what, double by) {
        if (!(by <= 1e-12)) throw std::runtime_error(what + std::to_string(by));
      };
      off("pairs ", apart(listed.loss, one.loss));
      off("soft ", apart(dense.loss, one.loss));
      off("pairs y ", apart(listed.y, RowMatrix<double>(one.y.middleRows(at, count))));
      off("only x ", apart(only.x, both.x));
      off("only x: ", apart(only.log_temperature, both.log_temperature));
    });
    for (const auto& error : errors) CHECK(error == "");
  }
  const auto strange = on_ranks(2, [&](ThreadRank& rank) {
    const std::vector<Index> r{0, 5}, c{0, 1};
    (void)losses::clip(x.middleRows(4 * rank.rank(), 4), y.middleRows(4 * rank.rank(), 4),
                       losses::pairs(r, c), {}, rank);
  });
  CHECK(strange[0].find("clip: targets: pair 1 is of a row") == 0);
  CHECK(strange[1] == strange[0]);
}

TEST_CASE("ranks: losses of lines with targets, smoothing and weights of rows") {
  const Index n = 13;
  const LossCall<double> call(2, n, 4);
  struct Lines {
    double loss, log_temperature;
    RowMatrix<double> x, y;
    std::vector<double> row_losses, col_losses;
  };
  const auto run = [&](Index at, Index count, Lines& out, auto&... world) {
    const LossCall<double> mine = call.part(at, count);
    losses::ClipOptions options{.temperature = 0.3, .label_smoothing = 0.2};
    for (Index i = at; i < at + count; ++i) options.row_weights.push_back(double(i % 4));
    core::Workspace workspace;
    losses::clip_with_gradient(mine.batches[0], mine.batches[1],
                               losses::ids(mine.first, mine.second), options, workspace, out,
                               world...);
  };
  Lines one;
  run(0, n, one);
  for (const Cut cut : kCuts) {
    const auto first = blocks(n, 3, cut);
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const Index at = first[std::size_t(rank.rank())],
                  count = first[std::size_t(rank.rank() + 1)] - at;
      Lines mine;
      run(at, count, mine, rank);
      double off = (std::max)(apart(mine.loss, one.loss),
                              apart(mine.y, RowMatrix<double>(one.y.middleRows(at, count))));
      for (Index i = 0; i < count; ++i)
        for (const auto lines : {&Lines::row_losses, &Lines::col_losses})
          off = (std::max)(
              off, std::abs((mine.*lines)[std::size_t(i)] - (one.*lines)[std::size_t(at + i)]));
      if (!(off <= 1e-12)) throw std::runtime_error("off " + std::to_string(off));
    });
    for (const auto& error : errors) CHECK(error == "");
  }
}

TEST_CASE("ranks: partners of too few rows on one rank and of too many on another") {
  const LossCall<double> call(2, 8, 4);
  const auto errors = on_ranks(2, [&](ThreadRank& rank) {
    const LossCall<double> mine = call.part(4 * rank.rank(), 4);
    const losses::LMixOptions options{
        .partners = std::vector<Index>(std::size_t(rank.rank() == 0 ? 3 : 5), 2)};
    (void)losses::l_mix(mine.batches[0], mine.batches[1], 0.3, options, rank);
  });
  CHECK(errors[0].find("l_mix: rank 0 of 2: argument 1 is 4 x 4 but argument 4 is 3 x 1") == 0);
  CHECK(errors[1] == errors[0]);
}

TEST_CASE("ranks: memory for losses of lines that is of another size on one rank") {
  const LossCall<double> call(2, 8, 4);
  const auto check = [&](const auto& with_gradient) {
    const auto errors = on_ranks(2, [&](ThreadRank& rank) {
      const LossCall<double> mine = call.part(4 * rank.rank(), 4);
      double memory[5];
      struct {
        double loss, log_temperature, bias;
        RowMatrix<double> x, y;
        Eigen::Map<Vector<double>> row_losses;
      } out{0, 0, 0, {}, {}, {memory, 4 + rank.rank()}};
      std::string sentence = refusal([&] { with_gradient(mine, out, rank); });
      new (&out.row_losses) Eigen::Map<Vector<double>>(memory, 4);
      throw std::runtime_error(sentence + refusal([&] { with_gradient(mine, out, rank); }));
    });
    CHECK(errors[0].find("rank 1 of 2: out.row_losses has 5 elements") != std::string::npos);
    CHECK(errors[1] == errors[0]);
  };
  core::Workspace memory[2];
  check([&](const LossCall<double>& mine, auto& out, ThreadRank& rank) {
    losses::clip_with_gradient(mine.batches[0], mine.batches[1], {}, memory[rank.rank()], out,
                               rank);
  });
  check([&](const LossCall<double>& mine, auto& out, ThreadRank& rank) {
    losses::siglip_with_gradient(mine.batches[0], mine.batches[1], {}, memory[rank.rank()], out,
                                 rank);
  });
}

TEST_CASE("ranks: other gradients asked for on one rank, and what losses that mix refuse") {
  const Index n = 8;
  const LossCall<double> call(2, n, 4);
  const RowMatrix<double>&x = call.batches[0], &y = call.batches[1];
  const auto asked = on_ranks(2, [&](ThreadRank& rank) {
    const RowMatrix<double> a = x.middleRows(4 * rank.rank(), 4),
                            b = y.middleRows(4 * rank.rank(), 4);
    core::Workspace workspace;
    struct {
      double loss, log_temperature;
      RowMatrix<double> x;
    } only;
    if (rank.rank() == 0)
      losses::clip_with_gradient(a, b, {}, workspace, only, rank);
    else
      (void)losses::clip_with_gradient(a, b, {}, rank);
  });
  CHECK(asked[0] == "clip_with_gradient: rank 1 of 2 has other options than rank 0");
  CHECK(asked[1] == asked[0]);
  for (const bool weights : {false, true}) {
    const auto refused = on_ranks(2, [&](ThreadRank& rank) {
      losses::M2MixOptions options;
      if (weights)
        options.row_weights = {1, 2, 3, 4};
      else
        options.exclude = losses::pairs(std::vector<Index>{0}, std::vector<Index>{1});
      (void)losses::m2_mix(x.middleRows(4 * rank.rank(), 4), y.middleRows(4 * rank.rank(), 4), 0.3,
                           options, rank);
    });
    CHECK(refused[0].find("exclude and row_weights are not known over several processes") !=
          std::string::npos);
    CHECK(refused[1] == refused[0]);
  }
}

TEST_CASE("ranks: alone, the bits of no communicator") {
  core::Alone world;
  const LossCall<double> call(2, 9, 5);
  const RowMatrix<double>&x = call.batches[0], &y = call.batches[1];
  const auto one = losses::clip_with_gradient(x, y),
             other = losses::clip_with_gradient(x, y, {}, world);
  CHECK(other.loss == one.loss);
  CHECK(other.x == one.x);
  CHECK(other.y == one.y);
  CHECK(losses::info_nce(x, y, losses::ids(std::vector<int>(9, 1), std::vector<int>(9, 1)), {},
                         world) ==
        losses::info_nce(x, y, losses::ids(std::vector<int>(9, 1), std::vector<int>(9, 1))));
  const auto mixed = losses::m2_mix_with_gradient(x, y, 0.3);
  const auto mixed_alone = losses::m2_mix_with_gradient(x, y, 0.3, {}, world);
  CHECK(mixed_alone.loss == mixed.loss);
  CHECK(mixed_alone.x == mixed.x);
  CHECK(mixed_alone.lambda == mixed.lambda);
  losses::M2MixOptions options{.row_weights = {1, 2, 3, 4, 5, 4, 3, 2, 1}};
  options.exclude = losses::pairs(std::vector<Index>{0}, std::vector<Index>{1});
  CHECK(losses::m2_mix(x, y, 0.3, options, world) == losses::m2_mix(x, y, 0.3, options));
  CHECK(losses::m2_mix(x, y, 0.3, options) != losses::m2_mix(x, y, 0.3));
  CHECK(metrics::uniformity(x, {}, world) == metrics::uniformity(x));
}
