// The laws of support/loss_contract.hpp, each for every loss.
#include "support/loss_contract.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "support/allocations.hpp"
#include "support/refusal.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

template <class T>
bool same(const LossOutcome<T>& a, const LossOutcome<T>& b) {
  bool equal = a.loss == b.loss && a.numbers == b.numbers && a.per_row == b.per_row;
  for (std::size_t k = 0; k < a.gradients.size(); ++k)
    equal = equal && a.gradients[k] == b.gradients[k];
  return equal;
}

/// Largest difference of two outcomes, relative to the size of what they hold.
template <class T>
double distance(const LossOutcome<T>& a, const LossOutcome<T>& b) {
  double worst = std::abs(a.loss - b.loss) / (1 + std::abs(b.loss));
  for (std::size_t k = 0; k < a.numbers.size(); ++k)
    worst = std::max(worst, std::abs(a.numbers[k] - b.numbers[k]) / (1 + std::abs(b.numbers[k])));
  for (std::size_t k = 0; k < a.per_row.size(); ++k)
    worst = std::max(worst, (a.per_row[k] - b.per_row[k]).norm() / (1e-3 + b.per_row[k].norm()));
  for (std::size_t k = 0; k < a.gradients.size(); ++k)
    worst = std::max(worst, double((a.gradients[k] - b.gradients[k]).norm()) /
                                (1e-3 + double(b.gradients[k].norm())));
  return worst;
}

/// The least budget that the loss takes, as its errors say; 0 where they lead nowhere.
template <class T>
std::size_t least_budget(const LossCase<T>& loss, LossCall<T> call) {
  call.budget = 1;
  for (int parts = 0; parts < 9; ++parts) {  // each part of a loss may need more than the last
    const std::string said = refusal([&] { (void)loss.gradient(call); });
    if (said.empty()) return call.budget;
    const std::size_t at = said.find("at least ");
    if (at == std::string::npos) return 0;
    call.budget = std::stoull(said.substr(at + 9));
  }
  return 0;
}

bool begins(const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; }

}  // namespace

TEST_CASE_TEMPLATE("value: the loss alone is the loss beside the gradients", T, float, double) {
  for (const auto& loss : loss_cases<T>())
    for (const Index n : {3, 40, 130}) {
      CAPTURE(loss.name);
      CAPTURE(n);
      const LossCall<T> call(loss.batches, n, 7);
      const double alone = loss.value(call), beside = loss.gradient(call).loss;
      CHECK(std::isfinite(alone));
      CHECK(std::abs(alone - beside) <= 32 * double(core::epsilon<T>) * (1 + std::abs(beside)));
    }
}

TEST_CASE("gradient: the slope of the loss along great circles") {
  for (const auto& loss : loss_cases<double>()) {
    CAPTURE(loss.name);
    const Index n = 9, d = 6;
    const LossCall<double> call(loss.batches, n, d);
    const auto outcome = loss.gradient(call);
    for (std::size_t k = 0; k < loss.batches; ++k) {
      CAPTURE(k);
      const RowMatrix<double> x = call.batches[k];
      RowMatrix<double> v = gaussian_rows<double>(n, d, std::uint32_t(50 + k));
      double slope = 0;
      for (Index i = 0; i < n; ++i) {
        v.row(i) -= v.row(i).dot(x.row(i)) * x.row(i);
        slope += outcome.gradients[k].row(i).dot(v.row(i));
      }
      const auto at = [&](double t) {
        LossCall<double> moved = call;
        for (Index i = 0; i < n; ++i) {
          const double speed = v.row(i).norm();
          moved.batches[k].row(i) =
              std::cos(t * speed) * x.row(i) + std::sin(t * speed) / speed * v.row(i);
        }
        return loss.value(moved);
      };
      const double h = 2e-4;
      const double measured = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      CHECK(std::abs(slope) > 1e-6);  // or the law would say nothing
      CHECK(std::abs(measured - slope) <= 1e-8 * (1 + std::abs(slope)));
    }
  }
}

TEST_CASE_TEMPLATE("not finite: one bad number never gives a finite loss", T, float, double) {
  for (const auto& loss : loss_cases<T>())
    for (const T bad : {core::nan<T>, core::infinity<T>, -core::infinity<T>})
      for (std::size_t k = 0; k < loss.batches; ++k)
        for (const Index row : {0, 69}) {
          const bool logits = loss.name.find("mixup") != std::string::npos;
          if (logits && bad < 0) continue;  // a logit of -infinity is a class that is absent
          CAPTURE(loss.name);
          CAPTURE(k);
          CAPTURE(bad);
          LossCall<T> call(loss.batches, 70, 5);
          call.batches[k](row, 2) = bad;
          double value = core::nan<double>, beside = core::nan<double>;
          const std::string said = refusal([&] { value = loss.value(call); });
          CHECK(!std::isfinite(value));
          CHECK((said.empty() || begins(said, loss.name + ": ")));
          const std::string also = refusal([&] { beside = loss.gradient(call).loss; });
          CHECK(!std::isfinite(beside));
          CHECK(also.empty() == said.empty());
        }
}

TEST_CASE_TEMPLATE("rows: any number of them gives a loss, or an error that begins with its name",
                   T, float, double) {
  for (const auto& loss : loss_cases<T>())
    for (const Index n : {1, 2, 3, 63, 64, 65, 85, 129})
      for (const Index d : {1, 2, 17}) {
        if (n > 3 && d < 17) continue;
        CAPTURE(loss.name);
        CAPTURE(n);
        CAPTURE(d);
        const LossCall<T> call(loss.batches, n, d);
        double value = 0;
        const std::string said = refusal([&] { value = loss.value(call); });
        CHECK((n < 3 || d < 2 || said.empty()));
        CHECK((said.empty() || begins(said, loss.name + ": ")));
        CHECK(std::isfinite(value));
        const std::string also = refusal([&] {
          for (const auto& g : loss.gradient(call).gradients) CHECK(g.allFinite());
        });
        CHECK((also.empty() == said.empty() || d == 1));
      }
}

TEST_CASE_TEMPLATE("reversal: the order of the pairs does not matter", T, float, double) {
  for (const auto& loss : loss_cases<T>()) {
    CAPTURE(loss.name);
    const LossCall<T> call(loss.batches, 75, 9);
    auto back = loss.gradient(call.reversed());
    for (auto& g : back.gradients) g = RowMatrix<T>(g.colwise().reverse());
    for (auto& g : back.per_row) g = Vector<double>(g.reverse());
    CHECK(distance(back, loss.gradient(call)) < 2000 * double(core::epsilon<T>));
  }
}

TEST_CASE_TEMPLATE("threads: the same bits for any number", T, float, double) {
  for (const auto& loss : loss_cases<T>()) {
    CAPTURE(loss.name);
    const LossCall<T> call(loss.batches, 300, 33);
    const auto one = [&] {
      const Threads set(1);
      return loss.gradient(call);
    }();
    for (const int threads : {2, 3, 8}) {
      const Threads set(threads);
      CHECK(same(loss.gradient(call), one));
    }
  }
}

TEST_CASE_TEMPLATE("budget: the same loss in the least memory, one byte less is an error", T, float,
                   double) {
  for (const auto& loss : loss_cases<T>()) {
    if (!loss.has_budget) continue;
    CAPTURE(loss.name);
    LossCall<T> call(loss.batches, 600, 16);
    const auto want = loss.gradient(call);
    call.budget = least_budget(loss, call);
    REQUIRE(call.budget > 0);
    CHECK(distance(loss.gradient(call), want) < 2000 * double(core::epsilon<T>));
    --call.budget;
    const std::string said = refusal([&] { (void)loss.gradient(call); });
    CHECK(begins(said, loss.name + "_with_gradient: "));
    CHECK(said.find(std::to_string(call.budget)) != std::string::npos);
  }
}

#if defined(SPHEREMIX_COUNTS_ALLOCATIONS)
TEST_CASE_TEMPLATE("memory: a second call allocates nothing, and the workspace stays in the budget",
                   T, float, double) {
  const Threads set(2);
  for (const auto& loss : loss_cases<T>())
    for (const Index n : {40, 300}) {
      CAPTURE(loss.name);
      CAPTURE(n);
      LossCall<T> call(loss.batches, n, 96);  // enough for two threads
      loss.gradient(call);                    // what threads keep for themselves is there
      const std::size_t much = call.budget,
                        least = loss.has_budget ? least_budget(loss, call) : much;
      for (const std::size_t budget : {much, 2 * least, least}) {
        call.budget = budget;
        const RepeatedLoss<T> again = loss.repeated();
        const auto allocated = [&] { return allocations_after(1, [&] { again.call(call); }); };
        // a thread that had no task before takes its own memory at its first one
        for (int k = 0; k < 3 && allocated() > 0; ++k) continue;
        CHECK(allocated() == 0);
        CHECK(again.held() <= budget);
      }
    }
}
#endif

TEST_CASE_TEMPLATE("layout: the same bits for blocks, column-major and transposed batches", T,
                   float, double) {
  for (const auto& loss : loss_cases<T>()) {
    CAPTURE(loss.name);
    const LossCall<T> call(loss.batches, 66, 10);
    const auto want = loss.gradient(call);
    for (const int layout : {0, 1, 2}) {
      CAPTURE(layout);
      CHECK(same(loss.elsewhere(call, layout), want));
    }
  }
}

TEST_CASE("16 bits: the bits of the same numbers in float") {
  for (const auto& loss : loss_cases<float>())
    for (const int layout : {3, 4}) {
      CAPTURE(loss.name);
      CAPTURE(layout);
      LossCall<float> call(loss.batches, 40, 7);
      for (auto& x : call.batches)  // as both types hold them
        x = x.cast<Eigen::bfloat16>().cast<Eigen::half>().cast<float>();
      CHECK(same(loss.gradient(call), loss.elsewhere(call, layout)));
    }
}

TEST_CASE_TEMPLATE("shapes: errors that begin with the name", T, float, double) {
  for (const auto& loss : loss_cases<T>()) {
    CAPTURE(loss.name);
    const auto refused = [&](const LossCall<T>& call) {
      CHECK(begins(refusal([&] { (void)loss.value(call); }), loss.name + ": "));
      CHECK(begins(refusal([&] { (void)loss.gradient(call); }), loss.name + "_with_gradient: "));
    };
    for (std::size_t k = 0; k < loss.batches; ++k) {
      LossCall<T> call(loss.batches, 6, 4);
      // more rows of X than of Y: further rows of Y are negatives to some
      call.batches[k] = unit_rows<T>(k == 0 ? 7 : 5, 4, 3);
      refused(call);
      if (loss.batches == 1) continue;
      call.batches[k] = unit_rows<T>(6, 5, 3);
      refused(call);
    }
    LossCall<T> none(loss.batches, 6, 4);
    for (auto& x : none.batches) x.resize(0, 4);
    none.lambda.resize(0);
    none.label.resize(0);
    none.first.clear();
    none.second.clear();
    refused(none);
  }
}
