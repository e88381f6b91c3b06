// io: .npy and the vector files of the nearest-neighbour benchmarks.
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "options.hpp"
#include "spheremix/io/npy.hpp"
#include "spheremix/io/vectors.hpp"

namespace spheremix::python {

using io::Dtype;

template <>
struct EnumNames<Dtype> {
  static constexpr std::pair<const char*, Dtype> all[] = {
      {"f2", Dtype::f2}, {"f4", Dtype::f4}, {"f8", Dtype::f8}};
};

namespace {

using Path = std::filesystem::path;

/// None: float64 where the file has it, else float32.
bool read_as_double(const char* function, nb::handle dtype, Dtype has) {
  return dtype.is_none() ? has == Dtype::f8 : is_double_type(function, dtype);
}

/// Rows of a file into a new array.
template <class File>
Array read(const char* function, const File& file, Index first, Index count, nb::handle dtype,
           bool column) {
  core::expects(first >= 0 && count >= 0 && first <= file.rows() && count <= file.rows() - first,
                function, "rows ", first, " + ", count, " of ", file.path(), ", which has ",
                file.rows());
  const bool wide = read_as_double(function, dtype, file.dtype());
  std::vector<std::size_t> shape{std::size_t(count)};
  if (!column) shape.push_back(std::size_t(file.cols()));
  Output out({}, wide, shape);
  by_type(wide, [&]<class T>() {
    auto to = out.map<T>();
    run([&] { file.rows(first, count, to); });
  });
  return out.finish();
}

template <class File>
nb::class_<File> bind_file(nb::module_& m, const char* name) {
  const std::string rows = std::string(name) + "::rows";
  return nb::class_<File>(m, name, doc(std::string("io::") + name))
      .def(
          "__init__",
          [](File* self, const Path& path) {
            run([&] { return new (self) File(io::FilePath(path)); });
          },
          nb::arg("path"))
      .def(
          "path", [](const File& f) { return f.path(); }, "The file's name.")
      .def(
          "dtype", [](const File& f) { return f.dtype(); }, "The type of its numbers.")
      .def(
          "cols", [](const File& f) { return f.cols(); }, "Numbers in a row.")
      .def(
          "rows", [](const File& f) { return f.rows(); }, "How many rows the file has.")
      .def(
          "rows",
          [rows](const File& f, Index first, Index count, Array dtype) {
            return read(rows.c_str(), f, first, count, dtype.value, false);
          },
          nb::arg("first"), nb::arg("count"), nb::kw_only(), nb::arg("dtype").none() = nb::none(),
          "Rows [first, first + count).");
}

}  // namespace

void bind_io(nb::module_& m) {
  nb::exception<io::Error>(m, "Error", PyExc_OSError);
  bind_enum<Dtype>(m, "Dtype", "Number types of a file: half, float and double.");
  m.def(
      "load_npy",
      [](const Path& path, Array dtype) {
        const io::NpyFile file{io::FilePath(path)};
        return read("load_npy", file, 0, file.rows(), dtype.value, file.shape().size() == 1);
      },
      nb::arg("path"), nb::kw_only(), nb::arg("dtype").none() = nb::none(), doc("io::load_npy"));
  m.def(
      "save_npy",
      [](const Path& path, Arg x, Array dtype) {
        const Numbers shape("save_npy", "x", x);
        io::SaveNpyOptions options;
        if (!dtype.value.is_none()) options.dtype = chosen<Dtype>("save_npy", "dtype", dtype.value);
        const bool column =
            !shape.is_number() && nb::len(nb::getattr(x.value, "shape", nb::make_tuple(0, 0))) == 1;
        const Rows rows("save_npy", "x", x, column ? Rows::Rank::vector : Rows::Rank::batch);
        by_type(rows.is_double(), [&]<class T>() {
          const io::FilePath to(path);
          if (column)
            run([&] {
              io::save_npy(to, Eigen::Map<const Vector<T>>(rows.map<T>().data(), rows.cols()),
                           options);
            });
          else
            run([&] { io::save_npy(to, rows.map<T>(), options); });
        });
      },
      nb::arg("path"), nb::arg("x"), nb::kw_only(), nb::arg("dtype").none() = nb::none(),
      doc("io::save_npy"));
  bind_file<io::NpyFile>(m, "NpyFile")
      .def(
          "shape", [](const io::NpyFile& f) { return nb::tuple(nb::cast(f.shape())); },
          "As in the file: one or two numbers.");
  bind_file<io::FvecsFile>(m, "FvecsFile");
  bind_file<io::FbinFile>(m, "FbinFile");
}

}  // namespace spheremix::python
