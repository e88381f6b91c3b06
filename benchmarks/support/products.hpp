// Bare matrix products over threads: the bound of everything that is made of them. The library's
// own product engine, Eigen's, and OpenBLAS where it is linked.
#pragma once

#include <memory>
#include <vector>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/product.hpp"
#include "support/batch.hpp"

#if defined(SPHEREMIX_BENCH_OPENBLAS)
extern "C" {
void cblas_sgemm(int order, int transposed_a, int transposed_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int transposed_a, int transposed_b, int m, int n, int k, double alpha,
                 const double* a, int lda, const double* b, int ldb, double beta, double* c,
                 int ldc);
}
#endif

namespace bench {

/// C = A B^T, A B or A^T B.
enum class Form { times_transposed, times, transposed_times };

/// The library's product engine: tiles of C over threads, as the losses use it.
template <class T>
class Products {
 public:
  explicit Products(int threads) : threads_(threads), memory_(std::size_t(threads)) {
    namespace pw = spheremix::pairwise;
    for (auto& m : memory_) {
      auto frame = m.frame(2 * spheremix::core::Workspace::alignment +
                           sizeof(T) * std::size_t(pw::kPackA<T> + pw::kPackB<T>));
      T* const a = frame.template take<T>(std::size_t(pw::kPackA<T>));
      packs_.push_back({a, frame.template take<T>(std::size_t(pw::kPackB<T>))});
    }
  }

  void operator()(Form form, RowMatrix<T>& c, const RowMatrix<T>& a, const RowMatrix<T>& b) {
    using View = spheremix::core::MatrixView<const T>;
    const bool transposed = form == Form::transposed_times;
    const Index rows = transposed ? a.cols() : a.rows();
    const Index cols = form == Form::times_transposed ? b.rows() : b.cols();
    const Index down = (rows + kRows - 1) / kRows, across = (cols + kCols - 1) / kCols;
    for (auto& pack : packs_) pack.packed = nullptr;  // B may have changed since the last call
    spheremix::core::parallel_for(down * across, threads_, [&](Index task, int thread) {
      auto& pack = packs_[std::size_t(thread)];
      const Index i = task % down * kRows, j = task / down * kCols;
      const Index m = std::min(kRows, rows - i), n = std::min(kCols, cols - j);
      const spheremix::core::MatrixView<T> to{c.data() + i * cols + j, m, n, cols};
      if (form == Form::times_transposed)
        spheremix::pairwise::times_transposed<T>(to, View{&a(i, 0), m, a.cols(), a.cols()},
                                                 View{&b(j, 0), n, b.cols(), b.cols()}, false,
                                                 pack);
      else if (form == Form::times)
        spheremix::pairwise::times<T>(to, View{&a(i, 0), m, a.cols(), a.cols()},
                                      View{&b(0, j), b.rows(), n, b.cols()}, false, pack);
      else
        spheremix::pairwise::transposed_times<T>(to, View{&a(0, i), a.rows(), m, a.cols()},
                                                 View{&b(0, j), b.rows(), n, b.cols()}, false,
                                                 pack);
    });
  }

 private:
  static constexpr Index kRows = 504, kCols = 512;
  int threads_;
  std::vector<spheremix::core::Workspace> memory_;
  std::vector<spheremix::pairwise::PackBuffers<T>> packs_;
};

template <class T>
void eigen_product(Form form, RowMatrix<T>& c, const RowMatrix<T>& a, const RowMatrix<T>& b) {
  if (form == Form::times_transposed)
    c.noalias() = a * b.transpose();
  else if (form == Form::times)
    c.noalias() = a * b;
  else
    c.noalias() = a.transpose() * b;
}

#if defined(SPHEREMIX_BENCH_OPENBLAS)
template <class T>
void openblas_product(Form form, RowMatrix<T>& c, const RowMatrix<T>& a, const RowMatrix<T>& b) {
  constexpr int row_major = 101, plain = 111, transposed = 112;
  const int of_a = form == Form::transposed_times ? transposed : plain;
  const int of_b = form == Form::times_transposed ? transposed : plain;
  const int depth = int(form == Form::transposed_times ? a.rows() : a.cols());
  const int m = int(c.rows()), n = int(c.cols()), lda = int(a.cols()), ldb = int(b.cols());
  if constexpr (sizeof(T) == 4)
    cblas_sgemm(row_major, of_a, of_b, m, n, depth, 1, a.data(), lda, b.data(), ldb, 0, c.data(),
                n);
  else
    cblas_dgemm(row_major, of_a, of_b, m, n, depth, 1, a.data(), lda, b.data(), ldb, 0, c.data(),
                n);
}
#endif

}  // namespace bench
