// The one unit that knows Arrow. Numbers come out as one block in row order.
#include "arrow_table.hpp"

#ifdef SPHEREMIX_ARROW

#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>
#include <parquet/arrow/reader.h>

namespace analyze {
namespace {

template <class Result>
auto value_or_sentence(Result result, const std::string& path) {
  if (!result.ok()) wrong(path, ": ", result.status().message());
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::io::RandomAccessFile> opened(const Bytes& bytes, ByteVector& whole) {
  if (!bytes.in_memory())
    return value_or_sentence(arrow::io::ReadableFile::Open(bytes.path()), bytes.path());
  whole = bytes.read(0, bytes.size());
  return std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(whole.data(), int64_t(whole.size())));
}

/// The column, by name; "" where the file has one that `fits`.
template <class Fits>
int place_of(const arrow::Schema& schema, const std::string& column, const std::string& path,
             const char* what, const Fits& fits) {
  std::string names;
  int chosen = -1, count = 0;
  for (int i = 0; i < schema.num_fields(); ++i) {
    const auto& field = *schema.field(i);
    names += (i > 0 ? ", " : "") + field.name();
    if (!column.empty() ? field.name() == column : fits(*field.type())) chosen = i, ++count;
  }
  if (count == 1) return chosen;
  if (!column.empty() && count == 0)
    wrong(path, ": has no column \"", column, "\"; it has ", names.substr(0, 200));
  wrong(path, ": has ", count, " columns of ", what, " among ", names.substr(0, 200),
        "; name one as FILE:COLUMN");
}

/// `whole` holds what came through a pipe and must live as long as the column.
template <class Fits>
std::shared_ptr<arrow::ChunkedArray> column_of(const Bytes& bytes, const std::string& column,
                                               bool is_parquet, ByteVector& whole, const char* what,
                                               const Fits& fits) {
  const std::string& path = bytes.path();
  const auto file = opened(bytes, whole);
  std::shared_ptr<arrow::ChunkedArray> out;
  if (is_parquet) {
    const auto reader =
        value_or_sentence(parquet::arrow::OpenFile(file, arrow::default_memory_pool()), path);
    std::shared_ptr<arrow::Schema> schema;
    if (const auto s = reader->GetSchema(&schema); !s.ok()) wrong(path, ": ", s.message());
    const int place = place_of(*schema, column, path, what, fits);
    if (const auto s = reader->ReadColumn(place, &out); !s.ok()) wrong(path, ": ", s.message());
  } else {
    const auto reader =
        value_or_sentence(arrow::ipc::RecordBatchFileReader::Open(file.get()), path);
    const int place = place_of(*reader->schema(), column, path, what, fits);
    arrow::ArrayVector chunks;
    for (int i = 0; i < reader->num_record_batches(); ++i)
      chunks.push_back(value_or_sentence(reader->ReadRecordBatch(i), path)->column(place));
    out = std::make_shared<arrow::ChunkedArray>(chunks, reader->schema()->field(place)->type());
  }
  return out;
}

bool is_list(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST ||
         type.id() == arrow::Type::FIXED_SIZE_LIST;
}

Number number_of(const arrow::DataType& type, const std::string& path) {
  switch (type.id()) {
    case arrow::Type::HALF_FLOAT:
      return Number::f2;
    case arrow::Type::FLOAT:
      return Number::f4;
    case arrow::Type::DOUBLE:
      return Number::f8;
    case arrow::Type::INT8:
      return Number::i1;
    default:
      wrong(path, ": holds lists of ", type.ToString(),
            " where half, float, double or int8 is expected");
  }
}

/// The numbers of rows [0, array.length()) of one chunk, appended; every row has `cols`.
template <class List>
void append(const List& list, Index item, Index& cols, Index row, ByteVector& memory,
            const std::string& path) {
  const auto& values = *list.values();
  const auto* base = values.data()->buffers[1] ? values.data()->buffers[1]->data() : nullptr;
  for (int64_t i = 0; i < list.length(); ++i) {
    if (list.IsNull(i)) wrong(path, ": row ", row + i, " is null");
    const Index begin = list.value_offset(i), length = list.value_length(i);
    if (cols < 0) cols = length;
    if (length != cols)
      wrong(path, ": row ", row + i, " has ", length, " numbers where row 0 has ", cols);
    for (Index k = 0; values.null_count() > 0 && k < length; ++k)
      if (values.IsNull(begin + k)) wrong(path, ": row ", row + i, " holds a null");
    const auto* from = base + (values.offset() + begin) * item;
    memory.insert(memory.end(), from, from + length * item);
  }
}

}  // namespace

Array arrow_array(const Bytes& bytes, const std::string& column, bool is_parquet) {
  ByteVector whole;
  const auto chunks = column_of(bytes, column, is_parquet, whole, "lists of numbers", is_list);
  const std::string& path = bytes.path();
  const auto& type = *chunks->type();
  if (!is_list(type))
    wrong(path, ": column \"", column, "\" is ", type.ToString(), " where lists of numbers are",
          " expected");
  const Number number = number_of(*type.field(0)->type(), path);
  ByteVector memory;
  Index cols = -1, row = 0;
  for (const auto& chunk : chunks->chunks()) {
    if (type.id() == arrow::Type::LIST)
      append(static_cast<const arrow::ListArray&>(*chunk), bytes_of(number), cols, row, memory,
             path);
    else if (type.id() == arrow::Type::LARGE_LIST)
      append(static_cast<const arrow::LargeListArray&>(*chunk), bytes_of(number), cols, row, memory,
             path);
    else
      append(static_cast<const arrow::FixedSizeListArray&>(*chunk), bytes_of(number), cols, row,
             memory, path);
    row += chunk->length();
    stop_if_asked();
  }
  const Layout layout{.number = number,
                      .big_endian = std::endian::native == std::endian::big,
                      .rows = row,
                      .cols = std::max<Index>(cols, 0)};
  return {Bytes(path, std::move(memory)), layout};
}

std::vector<std::string> arrow_texts(const Bytes& bytes, const std::string& column,
                                     bool is_parquet) {
  ByteVector whole;
  const auto chunks = column_of(bytes, column, is_parquet, whole, "text",
                                [](const arrow::DataType& t) { return !is_list(t); });
  std::vector<std::string> out;
  for (const auto& chunk : chunks->chunks())
    for (int64_t i = 0; i < chunk->length(); ++i) {
      if (chunk->IsNull(i)) {
        out.emplace_back();
        continue;
      }
      out.push_back(value_or_sentence(chunk->GetScalar(i), bytes.path())->ToString());
    }
  return out;
}

bool built_with_arrow() { return true; }

}  // namespace analyze

#else

namespace analyze {

Array arrow_array(const Bytes& bytes, const std::string& column, bool is_parquet) {
  wrong(bytes.path(), ": this program was built without Arrow; in Python: import numpy, ",
        is_parquet ? "pyarrow.parquet as p; t = p.read_table('"
                   : "pyarrow.feather as p; t = p.read_table('",
        bytes.path(), "'); numpy.save('x.npy', numpy.stack(t['",
        column.empty() ? std::string("COLUMN") : column, "'].to_numpy()))");
}

std::vector<std::string> arrow_texts(const Bytes& bytes, const std::string& column, bool) {
  wrong(bytes.path(), ": this program was built without Arrow; save column ", column,
        " as a line of text each");
}

bool built_with_arrow() { return false; }

}  // namespace analyze

#endif
