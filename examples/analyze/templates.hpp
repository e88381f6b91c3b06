// The report's template, style and scripts, which the build writes into the program
// (cmake/analyze_templates.cmake).
#pragma once

#include <string>

namespace analyze {

/// The text of a file of this folder: "report.html", "report.css", "plots.js", ...
const std::string& template_text(const std::string& name);

}  // namespace analyze
