// The checks and the launch that every row-by-row function shares.
#pragma once

#include "spheremix/gpu/core/row_group.cuh"

namespace spheremix::gpu::detail {

/// What a function tells its caller; each text starts with the function's name.
struct RowTexts {
  const char* shapes;
  const char* memory;
  const char* overlap;
};
#define SPHEREMIX_ROW_TEXTS(function)                                                              \
  (::spheremix::gpu::detail::RowTexts{function ": the matrices differ in shape",                   \
                                      function                                                     \
                                      ": a null pointer or a leading dimension below the columns", \
                                      function ": an output overlaps another matrix in part"})

/// Collects what is wrong with the arguments of one call and whether its rows can move 16 bytes at
/// a time.
class RowCheck {
 public:
  RowCheck(RowTexts texts, Index rows, Index cols) : texts_(texts), rows_(rows), cols_(cols) {}

  template <class T>
  RowCheck& input(View<T> m) {
    if (status_.ok() && (m.rows != rows_ || m.cols != cols_)) status_ = invalid(texts_.shapes);
    if (status_.ok() && !sound(m)) status_ = invalid(texts_.memory);
    wide_ = wide_ && rows_on_16_bytes(m);
    return *this;
  }

  /// An output: apart from, or in the very place of, each of `others`.
  template <class T, class... Others>
  RowCheck& output(View<T> m, Others... others) {
    input(m);
    const bool bad = (partly_overlaps(m, others) || ... || false);
    if (status_.ok() && bad) status_ = invalid(texts_.overlap);
    return *this;
  }

  /// Outputs of one call share nothing.
  template <class A, class B>
  RowCheck& apart(View<A> a, View<B> b) {
    if (status_.ok() && core::overlap(a, b)) status_ = invalid(texts_.overlap);
    return *this;
  }

  /// A vector with one number a row.
  RowCheck& vector(const void* data) {
    if (status_.ok() && rows_ > 0 && data == nullptr) status_ = invalid(texts_.memory);
    return *this;
  }

  Status status() const { return status_; }
  bool wide() const { return wide_; }

  /// Enqueues body for every row, unless something was wrong.
  template <class T, class Body>
  Status run(Body body, cudaStream_t stream) const {
    return status_.ok() ? for_each_row<T>(body, rows_, cols_, wide_, stream) : status_;
  }

 private:
  RowTexts texts_;
  Index rows_, cols_;
  bool wide_ = true;
  Status status_;
};

}  // namespace spheremix::gpu::detail
