// The three products that everything N x N is made of, 2 n^2 d flops each:
//
//   times_transposed   S  = X Y^T   n x n
//   times              dX = S Y     n x d
//   transposed_times   dY = S^T X   n x d
#include "support/measure.hpp"
#include "support/products.hpp"

namespace {

using namespace bench;

Cost product_cost(const Case& c) {
  const double n = double(c.n), d = double(c.d);
  return {.flops = 2 * n * n * d, .tables = n * n * double(c.scalar())};
}

/// `with(case, T{})` gives what multiplies: product(form, c, a, b).
template <class With>
void enter(const Sweep& sweep, const std::string& who, const With& with) {
  const auto one = [&](const char* work, Form form) {
    add(sweep, work, who, false, product_cost,
        [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
          const bool table = form == Form::times_transposed;
          // S, or a table like a softmax's gradient: small numbers of both signs.
          const auto s = std::make_shared<RowMatrix<T>>(
              table ? RowMatrix<T>() : RowMatrix<T>(RowMatrix<T>::Random(c.n, c.n) / T(c.n)));
          const auto out = std::make_shared<RowMatrix<T>>(c.n, table ? c.n : c.d);
          const auto product = with(c, T{});
          return {[=, &b] { (*product)(form, *out, table ? b.x : *s, b.y); }, {}};
        });
  };
  one("times_transposed", Form::times_transposed);
  one("times", Form::times);
  one("transposed_times", Form::transposed_times);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, {"512", "1024", "2048"}, [](const Sweep& sweep) {
    enter(sweep, "spheremix",
          []<class T>(const Case& c, T) { return std::make_shared<Products<T>>(c.threads); });
    enter(sweep, "eigen", []<class T>(const Case&, T) {
      return std::make_shared<decltype(&eigen_product<T>)>(&eigen_product<T>);
    });
#if defined(SPHEREMIX_BENCH_OPENBLAS)
    enter(sweep, "openblas", []<class T>(const Case&, T) {
      return std::make_shared<decltype(&openblas_product<T>)>(&openblas_product<T>);
    });
#endif
  });
}
