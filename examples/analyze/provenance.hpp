// Where a report comes from: date, command line, files with their sizes and SHA-256, what was given
// and what was default. Names are relative: a report is made to be shared.
#pragma once

#include "common.hpp"

namespace analyze {

/// A path below the working folder as seen from there, any other absolute one by its last name.
std::string shared_name(const std::string& path);

/// A command line with shared names, each word quoted where a shell needs it.
std::string shared_command(const std::vector<std::string>& words);

/// {"name", "bytes", "sha256"} of a file; of a pipe the name alone.
Json described_file(const std::string& path);

/// The time now as in 2026-11-29T17:05:00Z.
std::string now_utc();

}  // namespace analyze
