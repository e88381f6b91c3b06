// Arguments from Python and results to it.
//
//   Rows      float or double rows in memory: an array of float32 or float64 whose rows are contiguous is read where
//             it lies (NumPy's arrays, anything with the buffer protocol or DLPack), any other layout is copied,
//             float16 and bfloat16 are converted to float
//   Numbers   one number or a vector of them, of any type
//   Output    a new array of the kind of the first argument: NumPy's, PyTorch's, or by DLPack
//   run       the C++ call, without Python's lock and with the threads that set_threads asked for
//
// Errors   TypeError: not an array, a type that is none of these, batches of two types. ValueError: the number of
//          dimensions, an array on another device, and every std::invalid_argument of the library.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/philox.hpp"

namespace spheremix::python {

namespace nb = nanobind;

/// An argument that is looked at inside the function, so that its errors have a sentence.
struct Arg {
  nb::handle value;
};
/// As Arg, of whole numbers.
struct IndexArg {
  nb::handle value;
};
/// As Arg, or a generator of random numbers.
struct ArrayOrPhilox {
  nb::handle value;
};
/// The weights of m3_mix.
struct FourArg {
  nb::handle value;
};
/// Targets, or None.
struct TargetsArg {
  nb::handle value;
};
/// An array that goes to Python.
struct Array {
  nb::object value;
};
/// A list of numbers that goes to Python.
struct Floats {
  std::vector<double> value;
};

/// Threads of the calls that follow; 0: what OpenMP says.
void set_threads(int n);
int threads();

/// Sets OpenMP's number of threads for one call, and puts it back.
class Threads {
 public:
  Threads();
  ~Threads();
  Threads(const Threads&) = delete;

 private:
  int before_ = 0;
};

template <class Body>
auto run(const Body& body) {
  const nb::gil_scoped_release others_may_run;
  const Threads threads;
  return body();
}

/// The draws of `body(rng)`: one step of the generator is taken, as the library takes it.
template <class Body>
auto drawn(core::Philox& rng, const Body& body) {
  // Before Python's lock is let go: another thread gets the next one.
  const std::uint32_t step = rng.take_step();
  core::Philox mine(rng.seed(), step);
  try {
    return body(mine);
  } catch (...) {
    if (rng.step() == step + 1) rng = core::Philox(rng.seed(), step);  // an error takes no step
    throw;
  }
}

/// "a float32 array is needed": the Python exceptions, with "function: " in front.
[[noreturn]] void type_error(const char* function, const std::string& sentence);
[[noreturn]] void value_error(const char* function, const std::string& sentence);

using Tensor = nb::ndarray<nb::ro>;

/// What results are made of.
struct Kind {
  nb::handle like;  ///< an argument; null: NumPy's
};

class Rows {
 public:
  enum class Rank { batch, vector };  ///< n x d, or d numbers (d, 1 x d or d x 1)

  Rows(const char* function, const char* name, nb::handle from, Rank rank = Rank::batch);
  Rows(const char* function, const char* name, Arg from, Rank rank = Rank::batch)
      : Rows(function, name, from.value, rank) {}

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  bool is_double() const { return is_double_; }
  const std::string& type() const { return type_; }  ///< as it came, "float16"
  const char* name() const { return name_; }
  Kind kind() const { return {from_}; }
  /// A vector as it came: its number of dimensions and shape, for a result like it.
  const std::vector<std::size_t>& shape() const { return shape_; }

  template <class T>
  Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>> map() const {
    return {static_cast<const T*>(data_), rows_, cols_, Eigen::OuterStride<>(stride_)};
  }

 private:
  template <class T>
  void copy(const Tensor& from, Index row_step, Index col_step);

  const char* name_;
  nb::object from_;
  Tensor held_;
  std::vector<double> copy_;  // room for float too
  const void* data_ = nullptr;
  Index rows_ = 0, cols_ = 0, stride_ = 0;
  bool is_double_ = false;
  std::string type_;
  std::vector<std::size_t> shape_;
};

/// Throws TypeError unless all are float32 or all are float64.
void expects_one_type(const char* function, std::initializer_list<const Rows*> batches);

/// Calls body<float>() or body<double>().
template <class Body>
auto by_type(bool is_double, const Body& body) {
  if (is_double) return body.template operator()<double>();
  return body.template operator()<float>();
}

class Numbers {
 public:
  Numbers(const char* function, const char* name, nb::handle from);
  Numbers(const char* function, const char* name, Arg from) : Numbers(function, name, from.value) {}

  bool is_number() const { return is_number_; }
  double number() const { return number_; }
  bool are_integers() const { return held_.is_valid() && integer_; }
  std::vector<double> reals() const;
  template <class T>
  Vector<T> vector() const {
    const std::vector<double> all = reals();
    return Eigen::Map<const Vector<double>>(all.data(), Index(all.size())).template cast<T>();
  }
  /// Whole numbers only: TypeError for others.
  std::vector<Index> indices() const;
  /// Of a matrix.
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

 private:
  const char* function_;
  const char* name_;
  Tensor held_;
  bool is_number_ = false, integer_ = false;
  double number_ = 0;
  Index rows_ = 0, cols_ = 0, row_step_ = 0, col_step_ = 0;
};

/// Calls body with the number, or with a Vector<T> of one a row.
template <class T, class Body>
auto with_weights(const Numbers& weights, const Body& body) {
  if (weights.is_number()) return body(weights.number());
  const Vector<T> each = weights.vector<T>();
  return body(each);
}

class Output {
 public:
  Output(Kind kind, bool is_double, std::vector<std::size_t> shape);
  Output(Kind kind, bool is_double, Index rows, Index cols)
      : Output(kind, is_double, {std::size_t(rows), std::size_t(cols)}) {}

  template <class T>
  Eigen::Map<RowMatrix<T>> map() {
    const Index cols = shape_.size() > 1 ? Index(shape_[1]) : 1;
    return {static_cast<T*>(data_), Index(shape_[0]), cols};
  }
  template <class T>
  Eigen::Map<Vector<T>> column() {
    return {static_cast<T*>(data_), Index(size_)};
  }
  /// As a row of a batch: how single points go in and out.
  template <class T>
  Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic, Eigen::RowMajor>> row() {
    return {static_cast<T*>(data_), Index(size_)};
  }
  Array finish();

 private:
  Kind kind_;
  nb::object array_;
  void* data_ = nullptr;
  std::size_t size_ = 1;
  std::vector<std::size_t> shape_;
};

/// Whole numbers as an int64 array of that kind.
Array indices(Kind kind, const std::vector<Index>& from);
Array index_matrix(Kind kind, const RowMatrix<Index>& from);
Array reals(Kind kind, const std::vector<double>& from);
/// A matrix as an array of that kind.
template <class T>
Array matrix(Kind kind, const RowMatrix<T>& from) {
  Output out(kind, sizeof(T) == 8, from.rows(), from.cols());
  out.map<T>() = from;
  return out.finish();
}

/// Is this dtype argument ("float32", numpy.float64, torch.float32) double? TypeError for other types.
bool is_double_type(const char* function, nb::handle dtype);

/// The class spheremix._records.NAME, looked up once.
nb::handle record_class(const char* name);
/// spheremix._records.NAME(values...).
template <class... Values>
nb::object record(const char* name, Values&&... values) {
  return record_class(name)(std::forward<Values>(values)...);
}

/// The text of a function from the library's headers.
const char* doc(const std::string& name);

}  // namespace spheremix::python

namespace nanobind::detail {

/// An argument that any object is, under a name for the type stubs.
#define SPHEREMIX_ARGUMENT(TYPE, NAME)                            \
  template <>                                                     \
  struct type_caster<spheremix::python::TYPE> {                   \
    NB_TYPE_CASTER(spheremix::python::TYPE, const_name(NAME))     \
    template <class Flags>                                        \
    bool from_python(handle src, Flags, cleanup_list*) noexcept { \
      value.value = src;                                          \
      return true;                                                \
    }                                                             \
  };
SPHEREMIX_ARGUMENT(Arg, "numpy.typing.ArrayLike")
SPHEREMIX_ARGUMENT(IndexArg, "int | collections.abc.Sequence[int] | numpy.typing.NDArray")
SPHEREMIX_ARGUMENT(ArrayOrPhilox, "numpy.typing.ArrayLike | spheremix.core.Philox")
SPHEREMIX_ARGUMENT(FourArg, "spheremix._records.MixLambdas")
SPHEREMIX_ARGUMENT(TargetsArg, "spheremix._native.losses.Targets")
template <>
struct type_caster<spheremix::python::Array> {
  NB_TYPE_CASTER(spheremix::python::Array, const_name("typing.Any"))
  template <class Flags>
  bool from_python(handle src, Flags, cleanup_list*) noexcept {
    value.value = borrow(src);
    return true;
  }
  static handle from_cpp(const Value& src, rv_policy, cleanup_list*) noexcept {
    return handle(src.value).inc_ref();
  }
};
template <>
struct type_caster<spheremix::python::Floats> {
  NB_TYPE_CASTER(spheremix::python::Floats, const_name("list[float]"))
  static handle from_cpp(const Value& src, rv_policy, cleanup_list*) noexcept {
    list out;
    for (const double x : src.value) out.append(x);
    return out.release();
  }
};

}  // namespace nanobind::detail

/// A class of spheremix._records as a return type, for the stubs: RECORD(FrechetMean).
#define SPHEREMIX_RECORD(NAME)                                                               \
  namespace spheremix::python {                                                              \
  struct NAME##Record {                                                                      \
    nb::object value;                                                                        \
  };                                                                                         \
  }                                                                                          \
  namespace nanobind::detail {                                                               \
  template <>                                                                                \
  struct type_caster<spheremix::python::NAME##Record> {                                      \
    NB_TYPE_CASTER(spheremix::python::NAME##Record, const_name("spheremix._records." #NAME)) \
    static handle from_cpp(const Value& src, rv_policy, cleanup_list*) noexcept {            \
      return handle(src.value).inc_ref();                                                    \
    }                                                                                        \
  };                                                                                         \
  }
