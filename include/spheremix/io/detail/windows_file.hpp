// What io/ asks of Windows: a read-only map of a file, and a new file that replaces an old one.
//
// The functions of kernel32 are declared here, as <windows.h> declares them: that header would bring
// min, max, near, far, small and thousands more macros into every program.
#pragma once

#if defined(_WIN32)

#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "spheremix/core/constants.hpp"
#include "spheremix/io/detail/file_path.hpp"
#include "spheremix/io/error.hpp"

struct _SECURITY_ATTRIBUTES;
extern "C" {
__declspec(dllimport) void* __stdcall CreateFileW(const wchar_t*, unsigned long, unsigned long,
                                                  _SECURITY_ATTRIBUTES*, unsigned long,
                                                  unsigned long, void*);
__declspec(dllimport) void* __stdcall CreateFileMappingW(void*, _SECURITY_ATTRIBUTES*,
                                                         unsigned long, unsigned long,
                                                         unsigned long, const wchar_t*);
__declspec(dllimport) void* __stdcall MapViewOfFile(void*, unsigned long, unsigned long,
                                                    unsigned long, std::size_t);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void*);
__declspec(dllimport) int __stdcall VirtualUnlock(void*, std::size_t);
__declspec(dllimport) unsigned long __stdcall GetFileType(void*);
__declspec(dllimport) unsigned long __stdcall SetFilePointer(void*, long, long*, unsigned long);
__declspec(dllimport) int __stdcall MoveFileExW(const wchar_t*, const wchar_t*, unsigned long);
__declspec(dllimport) int __stdcall CloseHandle(void*);
__declspec(dllimport) unsigned long __stdcall GetLastError();
}

namespace spheremix::io::detail {

inline std::string last_error() { return std::system_category().message(int(::GetLastError())); }

struct FileBytes {
  const unsigned char* data = nullptr;
  Index size = 0;
};

/// Maps a regular file for reading. Throws io::Error.
inline FileBytes map_file(const FilePath& path) {
  constexpr unsigned long generic_read = 0x80000000, share_all = 7, open_existing = 3;
  constexpr unsigned long disk = 1, end_of_file = 2, page_read_only = 2, map_read = 4;
  constexpr unsigned long no_position = 0xffffffff;
  const auto name = shown_path(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail(name, "is a folder");
  void* const file =
      ::CreateFileW(path.c_str(), generic_read, share_all, nullptr, open_existing, 0, nullptr);
  if (file == reinterpret_cast<void*>(std::intptr_t(-1)))
    fail(name, "cannot be opened: ", last_error());
  if (::GetFileType(file) != disk) {
    ::CloseHandle(file);
    fail(name, "is not a regular file");
  }
  long high = 0;
  const unsigned long low = ::SetFilePointer(file, 0, &high, end_of_file);
  const bool sized = low != no_position || ::GetLastError() == 0;
  FileBytes bytes{nullptr, Index(std::uint64_t(std::uint32_t(high)) << 32 | low)};
  std::string error = sized ? "" : last_error();
  if (sized && bytes.size > 0) {  // nothing is mapped of an empty file
    void* const map = ::CreateFileMappingW(file, nullptr, page_read_only, 0, 0, nullptr);
    if (map != nullptr)
      bytes.data = static_cast<const unsigned char*>(::MapViewOfFile(map, map_read, 0, 0, 0));
    if (bytes.data == nullptr) error = last_error();
    if (map != nullptr) ::CloseHandle(map);
  }
  ::CloseHandle(file);
  if (!sized || (bytes.size > 0 && bytes.data == nullptr)) fail(name, "cannot be mapped: ", error);
  return bytes;
}

inline void unmap_file(FileBytes bytes) {
  if (bytes.data != nullptr) ::UnmapViewOfFile(bytes.data);
}

/// Unlocking pages that were never locked takes them out of the working set, says Windows' manual.
inline void release_pages(std::uintptr_t from, std::size_t count) {
  ::VirtualUnlock(reinterpret_cast<void*>(from), count);
}
inline std::uintptr_t page_size() { return 65536; }  // no less than any page of Windows

/// A file that must not exist yet, open for writing; null, and errno, where it cannot be made.
inline std::FILE* create_file(const FilePath& path) {
  const int file =
      ::_wopen(path.c_str(), _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE);
  return file < 0 ? nullptr : ::_fdopen(file, "wb");
}

inline void remove_file(const FilePath& path) { ::_wremove(path.c_str()); }

/// Empty, or what went wrong.
inline std::string replace_file(const FilePath& from, const FilePath& to) {
  constexpr unsigned long replace_existing = 1;
  return ::MoveFileExW(from.c_str(), to.c_str(), replace_existing) != 0 ? "" : last_error();
}

}  // namespace spheremix::io::detail

#endif
