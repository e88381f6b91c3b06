#include "array.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "docs.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/io/half.hpp"

namespace spheremix::python {

// ---- Threads ----
namespace {
std::atomic<int> wanted_threads{0};
}  // namespace

void set_threads(int n) {
  if (n < 0) value_error("set_threads", "n is " + std::to_string(n) + ", which must be at least 0");
  wanted_threads = n;
}
int threads() { return wanted_threads > 0 ? int(wanted_threads) : core::max_threads(); }

Threads::Threads() {
#if defined(_OPENMP)
  if (const int n = wanted_threads.load(std::memory_order_relaxed); n > 0) {
    before_ = omp_get_max_threads();
    omp_set_num_threads(n);
  }
#endif
}
Threads::~Threads() {
#if defined(_OPENMP)
  if (before_ > 0) omp_set_num_threads(before_);
#endif
}

// ---- Errors ----
void type_error(const char* function, const std::string& sentence) {
  throw nb::type_error((std::string(function) + ": " + sentence).c_str());
}
void value_error(const char* function, const std::string& sentence) {
  throw nb::value_error((std::string(function) + ": " + sentence).c_str());
}

namespace {

using Code = nb::dlpack::dtype_code;

// Objects of Python that calls need again and again: looked up once, never let go. No import runs while a static is
// initialised: it may hand Python's lock to a thread that then waits for the static, for ever. Python's lock guards what
// is found; two first calls at once may both look.
PyObject* keep(nb::object o) { return o.release().ptr(); }

struct Common {
  PyObject *numpy, *ndarray, *empty, *asarray, *f4, *f8, *i8;
};
const Common& common() {
  static const Common* known = nullptr;
  if (!known) {
    nb::module_ numpy = nb::module_::import_("numpy");
    const auto* found = new Common{keep(numpy),
                                   keep(numpy.attr("ndarray")),
                                   keep(numpy.attr("empty")),
                                   keep(numpy.attr("asarray")),
                                   keep(numpy.attr("dtype")("float32")),
                                   keep(numpy.attr("dtype")("float64")),
                                   keep(numpy.attr("dtype")("int64"))};
    known = found;
  }
  return *known;
}

/// What `look` finds for that name, at the first call with it; null: nothing.
using Kept = std::unordered_map<std::string, PyObject*>;
template <class Look>
PyObject* kept(Kept& known, const std::string& name, const Look& look) {
  if (const auto at = known.find(name); at != known.end()) return at->second;
  return known[name] = keep(look());
}

std::string class_name(nb::handle o) { return nb::cast<const char*>(o.type().attr("__name__")); }

std::string name_of(nb::dlpack::dtype type) {
  const char* word = "an unknown type of ";
  switch (Code(type.code)) {
    case Code::Int:
      word = "int";
      break;
    case Code::UInt:
      word = "uint";
      break;
    case Code::Float:
      word = "float";
      break;
    case Code::Bfloat:
      word = "bfloat";
      break;
    case Code::Complex:
      word = "complex";
      break;
    case Code::Bool:
      return "bool";
    default:
      break;
  }
  return word + std::to_string(type.bits);
}

/// The array behind any argument; lists and what has __array__ go through numpy.asarray.
Tensor as_tensor(const char* function, const char* name, nb::handle from) {
  Tensor tensor;
  if (from.ptr() == Py_None) type_error(function, std::string(name) + " is None, not an array");
  if (!nb::try_cast(from, tensor, false)) {
    const bool convertible = nb::isinstance<nb::list>(from) || nb::isinstance<nb::tuple>(from) ||
                             nb::hasattr(from, "__array__");
    nb::object array;
    try {
      if (convertible) array = nb::handle(common().asarray)(from);
    } catch (nb::python_error&) {  // said below, with the argument's name
    }
    if (!array.is_valid() || !nb::try_cast(array, tensor, false)) {
      const std::string kind =
          array.is_valid()
              ? "an array of " + nb::cast<std::string>(nb::str(nb::object(array.attr("dtype"))))
              : "a " + class_name(from);
      type_error(function, std::string(name) + " is " + kind +
                               ", which is not an array of numbers that can be read");
    }
  }
  constexpr int pinned = 3;  // CUDA's page-locked host memory
  if (tensor.device_type() != nb::device::cpu::value && tensor.device_type() != pinned)
    value_error(function,
                std::string(name) + " lies on another device (DLPack's type " +
                    std::to_string(tensor.device_type()) +
                    "): this package computes on the CPU, the device library is not part of it");
  return tensor;
}

double element(const Tensor& from, Index at) {
  const void* data = from.data();
  const auto type = from.dtype();
  const auto read = [&]<class T>(T) { return double(static_cast<const T*>(data)[at]); };
  switch (Code(type.code)) {
    case Code::Float:
      if (type.bits == 64) return read(double());
      if (type.bits == 32) return read(float());
      return double(io::half_value(static_cast<const std::uint16_t*>(data)[at]));
    case Code::Bfloat:
      return double(
          std::bit_cast<float>(std::uint32_t(static_cast<const std::uint16_t*>(data)[at]) << 16));
    case Code::UInt:
      if (type.bits == 64) return read(std::uint64_t());
      if (type.bits == 32) return read(std::uint32_t());
      if (type.bits == 16) return read(std::uint16_t());
      return read(std::uint8_t());
    case Code::Bool:
      return read(std::uint8_t());
    default:
      if (type.bits == 64) return read(std::int64_t());
      if (type.bits == 32) return read(std::int32_t());
      if (type.bits == 16) return read(std::int16_t());
      return read(std::int8_t());
  }
}

bool is_integer(nb::dlpack::dtype type) {
  return Code(type.code) == Code::Int || Code(type.code) == Code::UInt ||
         Code(type.code) == Code::Bool;
}
bool is_half(nb::dlpack::dtype type) {
  return type.bits == 16 && (Code(type.code) == Code::Float || Code(type.code) == Code::Bfloat);
}
bool is_real(nb::dlpack::dtype type) {
  return is_half(type) || (Code(type.code) == Code::Float && (type.bits == 32 || type.bits == 64));
}

std::string dimensions(std::size_t n) {
  return std::to_string(n) + (n == 1 ? " dimension" : " dimensions");
}

}  // namespace

// ---- Rows ----
Rows::Rows(const char* function, const char* name, nb::handle from, Rank rank)
    : name_(name), from_(nb::borrow(from)), held_(as_tensor(function, name, from)) {
  const auto type = held_.dtype();
  type_ = name_of(type);
  if (!is_real(type) || type.lanes != 1)
    type_error(function, std::string(name) + " is " + type_ +
                             ", where float32, float64 or float16 is needed");
  is_double_ = type.bits == 64;
  const std::size_t n = held_.ndim();
  Index row_step = 0, col_step = 1;
  if (rank == Rank::batch) {
    if (n != 2)
      value_error(function, std::string(name) + " has " + dimensions(n) +
                                " where 2 are needed, one row an embedding");
    rows_ = Index(held_.shape(0)), cols_ = Index(held_.shape(1));
    row_step = held_.stride(0), col_step = held_.stride(1);
  } else {
    const bool flat = n == 2 && (held_.shape(0) == 1 || held_.shape(1) == 1);
    if (n != 1 && !flat)
      value_error(function,
                  std::string(name) + " has " + dimensions(n) + " where 1 is needed: one point");
    const std::size_t along = n == 1 || held_.shape(0) != 1 ? 0 : 1;
    rows_ = 1, cols_ = Index(held_.shape(along));
    row_step = cols_, col_step = held_.stride(along);
    for (std::size_t i = 0; i < n; ++i) shape_.push_back(held_.shape(i));
  }
  const std::size_t size = is_double_ ? 8 : 4;
  const bool aligned = reinterpret_cast<std::uintptr_t>(held_.data()) % size == 0;
  const bool in_rows = (col_step == 1 || cols_ <= 1) && (row_step >= cols_ || rows_ <= 1);
  if (is_half(type) || !aligned || !in_rows) {
    if (is_double_)
      copy<double>(held_, row_step, col_step);
    else
      copy<float>(held_, row_step, col_step);
  } else {
    data_ = held_.data();
    stride_ = std::max(row_step, cols_);
  }
}

template <class T>
void Rows::copy(const Tensor& from, Index row_step, Index col_step) {
  copy_.resize((std::size_t(rows_ * cols_) * sizeof(T) + 7) / 8);
  T* to = reinterpret_cast<T*>(copy_.data());
  data_ = to, stride_ = cols_;
  const bool half = is_half(from.dtype());
  const auto* bytes = static_cast<const char*>(from.data());
  for (Index i = 0; i < rows_; ++i)
    for (Index k = 0; k < cols_; ++k, ++to) {
      const Index at = i * row_step + k * col_step;
      if (half)
        *to = T(element(from, at));
      else
        std::memcpy(to, bytes + at * Index(sizeof(T)), sizeof(T));  // wherever it lies
    }
}

void expects_one_type(const char* function, std::initializer_list<const Rows*> batches) {
  const Rows& first = **batches.begin();
  for (const Rows* other : batches)
    if (other->is_double() != first.is_double())
      type_error(function, std::string(first.name()) + " is " + first.type() + " but " +
                               other->name() + " is " + other->type() +
                               ": arguments need one type");
}

// ---- Numbers ----
Numbers::Numbers(const char* function, const char* name, nb::handle from)
    : function_(function), name_(name) {
  if (PyFloat_Check(from.ptr()) || (PyLong_Check(from.ptr()) && !PyBool_Check(from.ptr()))) {
    is_number_ = true;
    number_ = nb::cast<double>(from);
    return;
  }
  held_ = as_tensor(function, name, from);
  const auto type = held_.dtype();
  integer_ = is_integer(type);
  if ((!integer_ && !is_real(type)) || type.lanes != 1)
    type_error(function, std::string(name) + " is " + name_of(type) + ", not real numbers");
  if (held_.ndim() == 0) {
    is_number_ = true;
    number_ = element(held_, 0);
    return;
  }
  if (held_.ndim() > 2)
    value_error(function, std::string(name) + " has " + dimensions(held_.ndim()) +
                              ", which is more than a vector or a matrix has");
  rows_ = Index(held_.shape(0)), row_step_ = held_.stride(0);
  cols_ = held_.ndim() == 2 ? Index(held_.shape(1)) : 1;
  col_step_ = held_.ndim() == 2 ? held_.stride(1) : 0;
}

std::vector<double> Numbers::reals() const {
  if (is_number_) return {number_};
  std::vector<double> all;
  all.reserve(std::size_t(rows_ * cols_));
  for (Index i = 0; i < rows_; ++i)
    for (Index k = 0; k < cols_; ++k) all.push_back(element(held_, i * row_step_ + k * col_step_));
  return all;
}

std::vector<Index> Numbers::indices() const {
  if (!held_.is_valid())
    type_error(function_, std::string(name_) + " is one number where a vector is needed");
  const auto type = held_.dtype();
  if (!integer_ && rows_ * cols_ > 0)
    type_error(function_, std::string(name_) + " is " + name_of(type) + ", not whole numbers");
  std::vector<Index> all;
  all.reserve(std::size_t(rows_ * cols_));
  for (Index i = 0; i < rows_; ++i)
    for (Index k = 0; k < cols_; ++k) {
      const Index at = i * row_step_ + k * col_step_;
      if (type.bits < 64) {
        all.push_back(Index(element(held_, at)));  // exact
        continue;
      }
      const std::int64_t bits = static_cast<const std::int64_t*>(held_.data())[at];
      if (Code(type.code) == Code::UInt && bits < 0)
        value_error(function_, std::string(name_) + "[" + std::to_string(i) + "] is above 2^63");
      all.push_back(bits);
    }
  return all;
}

// ---- Results ----
namespace {

PyObject* numpy_empty(const std::vector<std::size_t>& shape, PyObject* type) {
  nb::object size;
  if (shape.size() == 2)
    size = nb::make_tuple(shape[0], shape[1]);
  else
    size = nb::make_tuple(shape[0]);
  return nb::handle(common().empty)(size, nb::handle(type)).release().ptr();
}

void* writable(PyObject* array) {
  Py_buffer view;
  if (PyObject_GetBuffer(array, &view, PyBUF_WRITABLE) != 0) throw nb::python_error();
  void* const data = view.buf;
  PyBuffer_Release(&view);  // the array stays, and its memory with it
  return data;
}

/// A NumPy array as an array of the library that `like` belongs to, on the same memory.
nb::object as_kind(Kind kind, nb::object array) {
  if (!kind.like.is_valid()) return array;
  PyTypeObject* const type = Py_TYPE(kind.like.ptr());
  if (reinterpret_cast<PyObject*>(type) == common().ndarray) return array;
  if (!nb::hasattr(kind.like, "__dlpack__") || nb::isinstance(kind.like, common().ndarray))
    return array;
  const auto module = nb::cast<std::string>(kind.like.type().attr("__module__"));
  const std::string root = module.substr(0, module.find('.'));
  if (root == "numpy") return array;
  static Kept known;
  PyObject* const convert = kept(known, root, [&]() -> nb::object {
    if (root == "torch") return nb::module_::import_("torch").attr("from_numpy");
    try {
      nb::module_ library = nb::module_::import_(root == "jaxlib" ? "jax.numpy" : root.c_str());
      return nb::getattr(library, "from_dlpack", nb::object());
    } catch (nb::python_error&) {
      return {};
    }
  });
  return convert ? nb::handle(convert)(array) : array;
}

}  // namespace

Output::Output(Kind kind, bool is_double, std::vector<std::size_t> shape)
    : kind_(kind), shape_(std::move(shape)) {
  array_ = nb::steal(numpy_empty(shape_, is_double ? common().f8 : common().f4));
  data_ = writable(array_.ptr());
  for (const std::size_t n : shape_) size_ *= n;
}

Array Output::finish() { return {as_kind(kind_, std::move(array_))}; }

Array indices(Kind kind, const std::vector<Index>& from) {
  nb::object array = nb::steal(numpy_empty({from.size()}, common().i8));
  std::copy(from.begin(), from.end(), static_cast<std::int64_t*>(writable(array.ptr())));
  return {as_kind(kind, std::move(array))};
}
Array index_matrix(Kind kind, const RowMatrix<Index>& from) {
  nb::object array =
      nb::steal(numpy_empty({std::size_t(from.rows()), std::size_t(from.cols())}, common().i8));
  std::copy_n(from.data(), from.size(), static_cast<std::int64_t*>(writable(array.ptr())));
  return {as_kind(kind, std::move(array))};
}
Array reals(Kind kind, const std::vector<double>& from) {
  Output out(kind, true, {from.size()});
  std::copy(from.begin(), from.end(), out.column<double>().data());
  return out.finish();
}

bool is_double_type(const char* function, nb::handle dtype) {
  const auto name = nb::cast<std::string>(nb::str(dtype));
  if (nb::isinstance<nb::str>(dtype) || nb::isinstance<nb::type_object>(dtype)) {
    nb::object known = nb::handle(common().numpy).attr("dtype")(dtype);
    const auto kind = nb::cast<std::string>(known.attr("name"));
    if (kind == "float64") return true;
    if (kind == "float32") return false;
  } else if (name.size() >= 7) {
    if (name.ends_with("float64")) return true;
    if (name.ends_with("float32")) return false;
  }
  type_error(function, "dtype is " + name + ", where float32 or float64 is needed");
}

nb::handle record_class(const char* name) {
  static Kept known;
  return kept(known, name, [&] { return nb::module_::import_("spheremix._records").attr(name); });
}

const char* doc(const std::string& name) {
  for (const Text& text : kTexts)
    if (name == text.name) return text.text;
  return "";
}

}  // namespace spheremix::python
