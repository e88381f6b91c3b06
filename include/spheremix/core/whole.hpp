// Functions over several processes by way of the whole batch: every rank gathers all rows, computes
// what one process would, and keeps its own rows of the gradients. The same bits as one process
// with the same rows, whatever the function; time and memory are those of one process, too.
//
//   over_whole("linear_cka", world, options, nullptr,
//              [&](const Meeting&, const auto& x, const auto& y) { ... }, x_mine, y_mine)
//
// Arguments   batches and vectors of one number a row (per_row), std::vector of one integer a row:
//             gathered; numbers: the same on all ranks.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "spheremix/core/collectives.hpp"
#include "spheremix/core/digest.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/core/numbers.hpp"
#include "spheremix/core/workspace.hpp"

namespace spheremix::core {

/// No options.
struct NoOptions {};

/// A vector argument that has one number a row, or one number for all.
template <class V>
struct PerRow {
  const V& value;
};
template <class V>
PerRow<V> per_row(const V& value) {
  return {value};
}

/// An argument that has as many rows on each rank as argument `batch`; a std::vector may have none.
template <class X>
struct RowsOf {
  const X& value;
  int batch;
};
template <class X>
RowsOf<X> paired(const X& x, int batch = 0) {
  return {x, batch};
}

/// Options, and another way: instead(meeting), after the ranks know how many rows each has, does all that
/// is to be done, or returns false. It decides by what the ranks agree on.
template <class Options, class Instead>
struct Unless {
  const Options& options;
  const Instead& instead;
};
template <class Options, class Instead>
Unless<Options, Instead> unless(const Options& options, const Instead& instead) {
  return {options, instead};
}

/// An argument that every rank has in the same state, which `state` stands for: passed as it is.
template <class V>
struct Shared {
  V& value;
  std::uint64_t state;
};

namespace detail {

/// Rows of one argument on their way to all ranks: brought to the meeting, made room for, gathered.
template <class T, class Array>
class WholeRows {
 public:
  WholeRows(Meeting& meeting, int k, MatrixView<const T> own)
      : k_(k), own_(own), all_(meeting.memory ? meeting.memory->kept<Array>(k) : array_) {
    meeting.mine.rows[k] = own.rows;
    meeting.mine.cols[k] = own.cols;
    if constexpr (is_real<T>) meeting.mine.real = std::int64_t(sizeof(T));
  }
  WholeRows(const WholeRows&) = delete;
  void make_room(const Meeting& meeting) {
    if constexpr (requires { all_.cols(); })
      all_.resize(meeting.total(k_), own_.cols);
    else
      all_.resize(std::size_t(meeting.total(k_)));
  }
  void gather(const Meeting& meeting) {
    gather_rows<T>(meeting, k_, own_, {all_.data(), meeting.total(k_), own_.cols, own_.cols});
  }
  const Array& all() const { return all_; }

 private:
  int k_;
  MatrixView<const T> own_;
  Array array_;  ///< where nothing stays
  Array& all_;
};

template <class T>
struct WholeBatch : InputRows<T>, WholeRows<T, RowMatrix<T>> {
  template <class X>
  WholeBatch(Meeting& meeting, int k, const X& x)
      : InputRows<T>(x), WholeRows<T, RowMatrix<T>>(meeting, k, InputRows<T>::view()) {}
};

/// Numbers of any type (core/numbers.hpp), one a row: exact, with the resolution of their type.
template <class>  // for who has a communicator
class WholeNumbers {
 public:
  WholeNumbers(Meeting& meeting, int k, const Numbers& own) : k_(k), resolution_(own.resolution()) {
    expects(own.rows() == 1 || own.cols() == 1 || own.size() == 0, meeting.function(), "argument ",
            k + 1, " is ", own.rows(), " x ", own.cols(), ", not a vector");
    for (Index i = 0; i < own.size(); ++i) own_.push_back(own[i]);
    meeting.mine.rows[k] = own.size();
    meeting.mine.cols[k] = 1;
    meeting.mine.options ^= digest_of(k, resolution_);
  }
  void make_room(const Meeting& meeting) {
    exact_.resize(std::size_t(meeting.total(k_)));
    all_.emplace(exact_, resolution_);
  }
  void gather(const Meeting& meeting) {
    gather_rows<ExactNumber>(meeting, k_, {own_.data(), Index(own_.size()), 1, 1},
                             {exact_.data(), Index(exact_.size()), 1, 1});
  }
  const Numbers& all() const { return *all_; }

 private:
  int k_;
  double resolution_;
  std::vector<ExactNumber> own_, exact_;
  std::optional<Numbers> all_;
};

/// A number, which has to be the same on all ranks.
template <class A>
class WholeNumber {
 public:
  WholeNumber(Meeting& meeting, int k, A a) : a_(a) { meeting.mine.options ^= digest_of(k, a); }
  static void make_room(const Meeting&) {}
  static void gather(const Meeting&) {}
  const A& all() const { return a_; }

 private:
  A a_;
};

template <class V>
class WholeShared {
 public:
  WholeShared(Meeting& meeting, int k, V& value, std::uint64_t state) : value_(value) {
    meeting.mine.options ^= digest_of(k, state);
  }
  static void make_room(const Meeting&) {}
  static void gather(const Meeting&) {}
  V& all() const { return value_; }

 private:
  V& value_;
};

template <class V>
auto whole_of(Meeting& meeting, int k, const Shared<V>& v) {
  return WholeShared<V>(meeting, k, v.value, v.state);
}
template <class X>
auto whole_of(Meeting& meeting, int k, const Eigen::MatrixBase<X>& x) {
  return WholeBatch<typename X::Scalar>(meeting, k, x.derived());
}
template <class T>
auto whole_of(Meeting& meeting, int k, const std::vector<T>& v) {
  return WholeRows<T, std::vector<T>>(meeting, k, {v.data(), Index(v.size()), 1, 1});
}
template <class N>
requires std::is_same_v<N, Numbers>
auto whole_of(Meeting& meeting, int k, const N& v) { return WholeNumbers<void>(meeting, k, v); }
template <class X>
auto whole_of(Meeting& meeting, int k, const RowsOf<X>& x) {
  return whole_of(meeting, k, x.value);
}
template <class V>
auto whole_of(Meeting& meeting, int k, const PerRow<V>& v) {
  if constexpr (std::is_arithmetic_v<V>)
    return WholeNumber<V>(meeting, k, v.value);
  else
    return WholeNumbers<void>(meeting, k, v.value);
}

template <class Options>
const Options& options_of(const Options& options) {
  return options;
}
template <class Options, class Instead>
const Options& options_of(const Unless<Options, Instead>& options) {
  return options.options;
}

/// Throws where argument k lacks rows on this rank: over all ranks they might add up.
template <class M>
void expects_rows_of(const M& meeting, int k, int batch) {
  const Record& mine = meeting.mine;
  expects(mine.rows[k] == mine.rows[batch], meeting.function(), "argument ", batch + 1, " is ",
          mine.rows[batch], " x ", mine.cols[batch], " but argument ", k + 1, " is ", mine.rows[k],
          " x ", mine.cols[k]);
}
template <class X>
void expects_rows(const Meeting&, int, const X&) {}
template <class X>
void expects_rows(const Meeting& meeting, int k, const RowsOf<X>& x) {
  expects_rows_of(meeting, k, x.batch);
}
template <class T>
void expects_rows(const Meeting& meeting, int k, const RowsOf<std::vector<T>>& x) {
  if (!x.value.empty()) expects_rows_of(meeting, k, x.batch);
}
template <class V>
void expects_rows(const Meeting& meeting, int k, const PerRow<V>&) {
  if constexpr (!std::is_arithmetic_v<V>) expects_rows_of(meeting, k, 0);
}

}  // namespace detail

/// Calls call(meeting, all...) on every rank, with the arguments of all ranks. What it throws, all
/// throw. What is gathered stays in `memory` from call to call, unless that is null.
template <class World, class Options, class Call, class... Arguments>
void over_whole(const char* function, World& world, const Options& options, Workspace* memory,
                const Call& call, const Arguments&... arguments) {
  RanksOf<World> ranks(world);
  over_ranks(ranks, function, [&](Meeting& meeting) {
    const auto& plain = detail::options_of(options);
    meeting.mine.options = digest_of(plain);
    meeting.memory = memory;
    if constexpr (requires { plain.exclude, plain.row_weights; })
      expects(ranks.size() == 1 || (!plain.exclude && plain.row_weights.empty()), function,
              "exclude and row_weights are not known over several processes: gather the rows");
    const auto run = [&](const auto& rows, auto&&... batch) {
      rows();
      meeting.agree();
      if constexpr (requires { options.instead(meeting); })
        if (ranks.size() > 1 && options.instead(meeting)) return;
      (batch.make_room(meeting), ...);
      meeting.agree();
      (batch.gather(meeting), ...);
      call(meeting, batch.all()...);
    };
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      run([&] { (detail::expects_rows(meeting, int(K), arguments), ...); },
          detail::whole_of(meeting, int(K), arguments)...);
    }
    (std::make_index_sequence<sizeof...(Arguments)>{});
  });
}

/// Of `all`, rows that belong to batch k, to `out` those of this rank.
template <class Out, class All>
void put_own_rows(const Meeting& meeting, int k, const char* name, Out& out, const All& all) {
  const Index first = meeting.first(k, meeting.ranks().rank()),
              count = meeting.count(k, meeting.ranks().rank());
  OutputRows<Out> to(meeting.function(), name, out, count, all.cols());
  copy_rows<typename Out::Scalar>({all.data() + first * all.cols(), count, all.cols(), all.cols()},
                                  to.view());
  to.commit();
}

}  // namespace spheremix::core
