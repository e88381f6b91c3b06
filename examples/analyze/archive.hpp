// The members of a zip file (.npz): stored ones as a range of the file, deflated ones through zlib.
// [PKWARE, APPNOTE.TXT 6.3: local headers, central directory, zip64]
#pragma once

#include <zlib.h>

#include "bytes.hpp"

namespace analyze {

class Archive {
 public:
  struct Member {
    std::string name;
    Index offset = 0, packed = 0, size = 0;
    std::uint32_t crc = 0;
    unsigned method = 0, flags = 0;
  };

  explicit Archive(Bytes bytes) : bytes_(std::move(bytes)) {
    const Index size = bytes_.size(), tail = std::min<Index>(size, 65557);
    const ByteVector end = bytes_.read(size - tail, tail);
    Index place = tail - 22;
    while (place >= 0 && little_endian(end.data() + place, 4) != 0x06054b50) --place;
    if (place < 0) wrong(path(), ": is no zip file or cut off: its directory is missing");
    std::uint64_t count = little_endian(end.data() + place + 10, 2),
                  length = little_endian(end.data() + place + 12, 4),
                  begin = little_endian(end.data() + place + 16, 4);
    if (count == 0xffff || begin == 0xffffffff || length == 0xffffffff) {
      if (place < 20 || little_endian(end.data() + place - 20, 4) != 0x07064b50) damaged();
      const ByteVector more = part(little_endian(end.data() + place - 20 + 8, 8), 56);
      if (little_endian(more.data(), 4) != 0x06064b50) damaged();
      count = little_endian(more.data() + 32, 8), length = little_endian(more.data() + 40, 8),
      begin = little_endian(more.data() + 48, 8);
    }
    const ByteVector all = part(begin, length);
    for (std::uint64_t at_byte = 0, k = 0; k < count; ++k) {
      const unsigned char* entry = all.data() + at_byte;
      if (at_byte + 46 > length || little_endian(entry, 4) != 0x02014b50) damaged();
      const std::uint64_t name = little_endian(entry + 28, 2), extra = little_endian(entry + 30, 2),
                          remark = little_endian(entry + 32, 2);
      if (at_byte + 46 + name + extra + remark > length) damaged();
      Member m{std::string(entry + 46, entry + 46 + name),  Index(little_endian(entry + 42, 4)),
               Index(little_endian(entry + 20, 4)),         Index(little_endian(entry + 24, 4)),
               std::uint32_t(little_endian(entry + 16, 4)), unsigned(little_endian(entry + 10, 2)),
               unsigned(little_endian(entry + 8, 2))};
      read_extra(m, entry + 46 + name, extra);
      members_.push_back(std::move(m));
      at_byte += 46 + name + extra + remark;
    }
  }

  const std::vector<Member>& members() const { return members_; }

  Bytes open(const Member& m) const {
    const ByteVector head = part(std::uint64_t(m.offset), 30);
    if (little_endian(head.data(), 4) != 0x04034b50) damaged();
    const Index begin = m.offset + 30 + Index(little_endian(head.data() + 26, 2)) +
                        Index(little_endian(head.data() + 28, 2));
    if (begin > bytes_.size() || m.packed > bytes_.size() - begin) damaged();
    if ((m.flags & 1) != 0) wrong(path(), ": \"", m.name, "\" is encrypted");
    if (m.method == 0 && m.packed == m.size) return bytes_.range(begin, m.size);
    if (m.method != 8)
      wrong(path(), ": \"", m.name, "\" is packed by method ", m.method,
            " where stored (0) or deflated (8) is expected");
    return Bytes(path(), inflated(m, begin));
  }

 private:
  const std::string& path() const { return bytes_.path(); }
  [[noreturn]] void damaged() const { wrong(path(), ": the zip file is cut off or damaged"); }

  ByteVector part(std::uint64_t first, std::uint64_t count) const {
    const auto size = std::uint64_t(bytes_.size());
    if (first > size || count > size - first) damaged();
    return bytes_.read(Index(first), Index(count));
  }

  /// Sizes beyond 32 bits stand in the extra field.
  void read_extra(Member& m, const unsigned char* extra, std::uint64_t length) const {
    for (std::uint64_t i = 0; i + 4 <= length;) {
      const std::uint64_t kind = little_endian(extra + i, 2), n = little_endian(extra + i + 2, 2);
      if (i + 4 + n > length) damaged();
      std::uint64_t from = i + 4;
      if (kind == 1)
        for (Index* value : {&m.size, &m.packed, &m.offset})
          if (*value == 0xffffffff) {
            if (from + 8 > i + 4 + n) damaged();
            *value = Index(little_endian(extra + from, 8) & 0x7fffffffffffffff);
            from += 8;
          }
      i += 4 + n;
    }
  }

  ByteVector inflated(const Member& m, Index begin) const {
    if (m.size / 1040 > m.packed) damaged();  // deflate packs no tighter: 1032 to 1
    ByteVector out(at(m.size));
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    int status = Z_OK;
    Index put = 0;
    for (Index got = 0; got < m.packed && status == Z_OK;) {
      const Index count = std::min<Index>(m.packed - got, 1 << 20);
      ByteVector block = bytes_.read(begin + got, count);
      got += count;
      stream.next_in = block.data(), stream.avail_in = unsigned(count);
      while (stream.avail_in > 0 && status == Z_OK) {
        const Index room = std::min<Index>(m.size - put, 1 << 30);
        unsigned char spare = 0;
        stream.next_out = room > 0 ? out.data() + put : &spare;
        stream.avail_out = room > 0 ? unsigned(room) : 1;
        const unsigned before = stream.avail_out;
        status = ::inflate(&stream, Z_NO_FLUSH);
        put += before - stream.avail_out;
        if (put > m.size) status = Z_DATA_ERROR;
      }
      stop_if_asked();
    }
    ::inflateEnd(&stream);
    std::uint32_t crc = 0;
    for (Index i = 0; i < put; i += 1 << 30)
      crc =
          std::uint32_t(::crc32(crc, out.data() + i, unsigned(std::min<Index>(put - i, 1 << 30))));
    if (status != Z_STREAM_END || put != m.size || crc != m.crc)
      wrong(path(), ": \"", m.name, "\" is damaged");
    return out;
  }

  Bytes bytes_;
  std::vector<Member> members_;
};

}  // namespace analyze
