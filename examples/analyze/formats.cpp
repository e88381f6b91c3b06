#include "formats.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "archive.hpp"
#include "arrow_table.hpp"
#include "safetensors.hpp"
#include "spheremix/io/detail/npy_dictionary.hpp"

namespace analyze {

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && lower(text.substr(text.size() - tail.size())) == tail;
}

Spec split_spec(const std::string& spec) {
  std::error_code ignored;
  if (std::filesystem::exists(spec, ignored)) return {spec, ""};
  if (spec == "-" || spec.rfind("-:", 0) == 0)
    return {"-", spec.size() > 2 ? spec.substr(2) : std::string()};
  const std::string small = lower(spec);
  std::size_t best = std::string::npos, length = 0;
  for (const char* ending :
       {".npy:", ".npz:", ".safetensors:", ".parquet:", ".arrow:", ".feather:", ".fvecs:", ".fbin:",
        ".tsv:", ".csv:", ".jsonl:", ".ndjson:", ".txt:", ".png:", ".pt:", ".ipc:"}) {
    const std::size_t found = small.find(ending);
    if (found < best) best = found, length = std::strlen(ending);
  }
  if (best == std::string::npos) return {spec, ""};
  return {spec.substr(0, best + length - 1), spec.substr(best + length)};
}

namespace {

/// The options behind the colon of an .npy file.
struct NpyOptions {
  bool transposed = false, bits = false, numbers = false;
  bool row_numbers = false;  ///< not given behind the colon: i8 or i4 is expected

  /// Takes those at the end of `what`; the rest is an array's name.
  std::string take(std::string what) {
    for (;;) {
      const std::size_t mark = what.rfind(':');
      const std::string last = mark == std::string::npos ? what : what.substr(mark + 1);
      if (last == "T")
        transposed = true;
      else if (last == "bits")
        bits = true;
      else if (last == "numbers")
        numbers = true;
      else
        return what;
      what = mark == std::string::npos ? "" : what.substr(0, mark);
    }
  }
};

/// Replaces the dtype of an .npy header's text by one that the library's reader knows.
void replace_dtype(std::string& text, const char* by) {
  const std::size_t key = text.find("descr"), colon = text.find(':', key);
  const std::size_t from = text.find_first_of("'\"", colon), to = text.find(text[from], from + 1);
  text.replace(from, to + 1 - from, by);
}

std::string dtype_in(const std::string& text) {
  const std::size_t key = text.find("descr");
  if (key == std::string::npos) return "";
  const std::size_t colon = text.find(':', key);
  const std::size_t from =
      colon == std::string::npos ? colon : text.find_first_not_of(" \t", colon + 1);
  if (from == std::string::npos || (text[from] != '\'' && text[from] != '"')) return "";
  const std::size_t to = text.find(text[from], from + 1);
  return to == std::string::npos ? "" : text.substr(from + 1, to - from - 1);
}

Array npy_array(const Bytes& bytes, const std::string& name, NpyOptions options) {
  const Index size = bytes.size();
  const ByteVector head = bytes.read(0, std::min<Index>(size, 12));
  const std::string magic(head.begin(), head.begin() + std::min<Index>(6, Index(head.size())));
  if (magic != "\x93NUMPY")
    wrong(name, ": is not an .npy file: its ", size, " bytes start with ",
          spheremix::io::detail::quoted(magic));
  if (size < 12 || head[6] < 1 || head[6] > 3)
    wrong(name, ": is cut off or of an unknown .npy version");
  const Index lead = head[6] == 1 ? 10 : 12;
  const auto length = Index(little_endian(head.data() + 8, int(lead) - 8));
  if (length > size - lead)
    wrong(name, ": ", size, " bytes where the header needs ", lead, " + ", length,
          ": the file is cut off or damaged");
  std::string text = bytes.text(lead, length);
  for (std::size_t i = 1; i < text.size(); ++i)  // Python 2 writes (60L, 16L)
    if (text[i] == 'L' && std::isdigit(static_cast<unsigned char>(text[i - 1])) != 0)
      text.erase(i, 1);
  Layout layout;
  const std::string dtype = dtype_in(text);
  int known = 0;
  if (options.row_numbers) {
    const std::string type = dtype.empty() ? dtype : dtype.substr(1);
    if (options.bits || options.numbers || (type != "i8" && type != "i4"))
      wrong(name, ": holds ", options.bits || options.numbers ? "bytes" : dtype,
            " where row numbers are i8 or i4");
    layout.number = type == "i8" ? Number::i8 : Number::i4, known = 1;
    replace_dtype(text, dtype[0] == '>' ? "'>f4'" : "'<f4'");
  } else if (dtype == "<V2" || dtype == "|V2" || dtype == "bfloat16") {
    layout.number = Number::bf16, known = 1, replace_dtype(text, "'<f2'");
  } else if (dtype == "|i1" || dtype == "|u1") {
    if (dtype == "|u1" && !options.bits && !options.numbers)
      wrong(name, ": holds bytes (u1); say ", name, ":bits where each is 8 packed dimensions, or ",
            name, ":numbers where each is a number");
    if (dtype == "|u1" && options.numbers)
      wrong(name,
            ": holds bytes from 0 to 255; save them less their zero point, for instance "
            "(x.astype('f4') - 128)");
    layout.number = options.bits ? Number::bits : Number::i1, known = 1;
    layout.signed_bits = dtype == "|i1", replace_dtype(text, "'<f2'");
  } else if (options.bits) {
    wrong(name, ": holds ", dtype, " where packed bits are u1 or i1");
  }
  spheremix::io::NpyHeader header;
  spheremix::io::detail::NpyDictionary(text, name).read_into(header);
  if (known == 0)
    layout.number = header.dtype == spheremix::io::Dtype::f2   ? Number::f2
                    : header.dtype == spheremix::io::Dtype::f4 ? Number::f4
                                                               : Number::f8;
  layout.big_endian = header.big_endian;
  if (options.row_numbers && header.shape.size() != 2)
    wrong(name, ": has the shape ", spheremix::io::detail::shown(header.shape),
          " where N rows of k row numbers are expected");
  if (header.shape.size() == 1)
    wrong(name, ": holds one row of ", header.shape[0],
          " numbers; save one embedding as x.reshape(1, -1), embeddings one after another as "
          "x.reshape(-1, D)");
  if (header.shape.size() != 2)
    wrong(name, ": has ", header.shape.size(), " dimensions, shape ",
          spheremix::io::detail::shown(header.shape),
          ", where 2 are expected; save it as x.reshape(N, D)");
  const bool columns_lie_together = header.fortran_order != options.transposed;
  layout.rows = header.shape[options.transposed ? 1 : 0];
  layout.cols = header.shape[options.transposed ? 0 : 1];
  layout.by_columns = columns_lie_together && layout.cols > 1 && layout.rows > 1;
  layout.start = lead + length;
  const Index item = bytes_of(layout.number), found = size - layout.start;
  if (layout.rows > 0 && layout.cols > 0 && layout.rows > INT64_MAX / layout.cols / item)
    wrong(name, ": the shape ", spheremix::io::detail::shown(header.shape),
          " needs more than 2^63 bytes where the file has ", found);
  const Index needed = layout.rows * layout.cols * item;
  if (found != needed)
    wrong(name, ": ", found, " bytes of data where shape ",
          spheremix::io::detail::shown(header.shape), " of ", name_of(layout.number), " needs ",
          needed, ": ",
          found < needed ? "the file is cut off or damaged" : "there are bytes left over");
  if (layout.number == Number::bits) {
    if (layout.by_columns) wrong(name, ": packed bits are read row by row, not by columns");
    layout.cols *= 8;
  }
  return {bytes, layout};
}

Array npz_array(const Bytes& bytes, const std::string& what, NpyOptions options) {
  const Archive archive(bytes);
  const Archive::Member* chosen = nullptr;
  std::string names;
  for (const auto& m : archive.members()) {
    const std::string name =
        ends_with(m.name, ".npy") ? m.name.substr(0, m.name.size() - 4) : m.name;
    names += (names.empty() ? "" : ", ") + name;
    if (name == what) chosen = &m;
  }
  std::string wanted = what;
  if (chosen == nullptr) {
    wanted = options.take(what);
    for (const auto& m : archive.members())
      if (m.name == wanted + ".npy" || (wanted.empty() && archive.members().size() == 1))
        chosen = &m;
  }
  if (chosen == nullptr && wanted.empty())
    wrong(bytes.path(), ": holds ", archive.members().size(), " arrays (", names.substr(0, 200),
          "); name one as FILE.npz:NAME");
  if (chosen == nullptr)
    wrong(bytes.path(), ": has no array \"", wanted, "\"; it holds ", names.substr(0, 200));
  return npy_array(archive.open(*chosen), bytes.path() + ":" + chosen->name, options);
}

Array fvecs_array(const Bytes& bytes) {
  const Index size = bytes.size();
  Layout layout{.lead = 4};
  if (size > 0 && size < 4)
    wrong(bytes.path(), ": ", size, " bytes where the first row's length needs 4");
  if (size > 0) layout.cols = Index(little_endian(bytes.read(0, 4).data(), 4));
  if (size > 0 && (layout.cols == 0 || layout.cols > 1000000))
    wrong(bytes.path(), ": is not an .fvecs file: its first row would have ", layout.cols,
          " numbers");
  const Index row = 4 + 4 * layout.cols;
  if (size % row != 0)
    wrong(bytes.path(), ": ", size, " bytes, which are not whole rows of 4 + 4 * ", layout.cols,
          " bytes");
  layout.rows = size / row;
  return {bytes, layout};
}

Array fbin_array(const Bytes& bytes, const std::string& what) {
  if (!what.empty() && what != "T" && what != "swapped")
    wrong(bytes.path(), ":", what, ": behind an .fbin file only T or swapped can stand");
  const Index size = bytes.size();
  if (size < 8) wrong(bytes.path(), ": ", size, " bytes where an .fbin header needs 8");
  const ByteVector head = bytes.read(0, 8);
  Layout layout{.start = 8};
  layout.rows = Index(little_endian(head.data(), 4));
  layout.cols = Index(little_endian(head.data() + 4, 4));
  if (size - 8 != 4 * layout.rows * layout.cols)
    wrong(bytes.path(), ": ", size - 8, " bytes of data where ", layout.rows, " x ", layout.cols,
          " of f4 needs ", 4 * layout.rows * layout.cols);
  if (!what.empty()) std::swap(layout.rows, layout.cols);
  layout.by_columns = what == "T" && layout.rows > 1 && layout.cols > 1;
  return {bytes, layout};
}

/// The ending that the first bytes speak for.
std::string told_by_bytes(const Bytes& bytes) {
  const std::string head = bytes.text(0, std::min<Index>(bytes.size(), 16));
  return head.substr(0, 6) == "\x93NUMPY"    ? ".npy"
         : head.substr(0, 4) == "PK\x03\x04" ? ".npz"
         : head.substr(0, 4) == "PAR1"       ? ".parquet"
         : head.substr(0, 6) == "ARROW1"     ? ".arrow"
         : head.size() > 8 && head[8] == '{' ? ".safetensors"
                                             : "";
}

}  // namespace

constexpr const char* kEndings = ".npy, .npz, .safetensors, .fvecs, .fbin, .parquet and .arrow";

namespace {

Array open_any(const Spec& spec, bool row_numbers) {
  static const char* const endings[] = {".npy",     ".npz",   ".safetensors", ".fvecs", ".fbin",
                                        ".parquet", ".arrow", ".feather",     ".ipc"};
  std::string ending;
  for (const char* e : endings)
    if (ends_with(spec.path, e)) ending = e;
  if (ending.empty() && spec.path != "-") {
    std::error_code ignored;
    const auto kind = std::filesystem::status(spec.path, ignored).type();
    if (kind == std::filesystem::file_type::not_found)
      wrong(spec.path, ": cannot be opened: ", std::strerror(ENOENT));
    const bool torch = ends_with(spec.path, ".pt") || ends_with(spec.path, ".pth");
    if (kind == std::filesystem::file_type::regular ||
        kind == std::filesystem::file_type::directory)
      wrong(spec.path, ": the name ends with none of ", kEndings,
            torch ? "; in Python: numpy.save('x.npy', torch.load('x.pt').float().numpy())"
            : ends_with(spec.path, ".pkl") || ends_with(spec.path, ".pickle")
                ? "; pickles are never loaded: in Python, numpy.save('x.npy', x)"
                : "");
  }
  const Bytes bytes(spec.path);
  if (ending.empty()) {
    ending = told_by_bytes(bytes);
    if (ending.empty())
      wrong(spec.path, ": the first of its ", bytes.size(), " bytes speak for none of ", kEndings);
  }
  NpyOptions options;
  options.row_numbers = row_numbers;
  if (row_numbers && ending != ".npy" && ending != ".npz")
    wrong(spec.path, ": row numbers are read from .npy and .npz");
  if (ending == ".npy") {
    const std::string rest = options.take(spec.what);
    if (!rest.empty())
      wrong(spec.path, ":", rest, ": behind an .npy file only T, bits or numbers can stand");
    return npy_array(bytes, spec.path, options);
  }
  if (ending == ".npz") return npz_array(bytes, spec.what, options);
  if (ending == ".safetensors") return safetensors_array(bytes, spec.what);
  if (ending == ".parquet" || ending == ".arrow" || ending == ".feather" || ending == ".ipc")
    return arrow_array(bytes, spec.what, ending == ".parquet");
  if (ending == ".fbin") return fbin_array(bytes, spec.what);
  if (!spec.what.empty())
    wrong(spec.path, ":", spec.what, ": nothing can stand behind an ", ending, " file");
  return fvecs_array(bytes);
}

}  // namespace

Array open_array(const Spec& spec) { return open_any(spec, false); }
Array open_row_numbers(const Spec& spec) { return open_any(spec, true); }

}  // namespace analyze
