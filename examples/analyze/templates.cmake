# Writes templates.cpp: the report's template, style and scripts as strings of the program.
# file(CONFIGURE) would replace @@MARKS@@, so the text is put together here and written where it changed.
function(spheremix_analyze_templates output)
  set(text "#include \"templates.hpp\"\n\n#include <map>\n#include <stdexcept>\n\nnamespace analyze {\n\n"
           "const std::string& template_text(const std::string& name) {\n"
           "  static const std::map<std::string, std::string> files = {\n")
  list(JOIN text "" text)
  foreach(file ${ARGN})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME)
    file(READ ${file} content)
    string(LENGTH "${content}" length)
    string(APPEND text "      {\"${name}\",\n")
    set(at 0)
    while(at LESS length)  # a string literal has its limits
      string(SUBSTRING "${content}" ${at} 12000 piece)
      string(APPEND text "R\"~~~(${piece})~~~\"\n")
      math(EXPR at "${at} + 12000")
    endwhile()
    string(APPEND text "      },\n")
  endforeach()
  string(APPEND text "  };\n  const auto found = files.find(name);\n"
                     "  if (found == files.end()) throw std::logic_error(\"no template \" + name);\n"
                     "  return found->second;\n}\n\n}  // namespace analyze\n")
  set(before "")
  if(EXISTS ${output})
    file(READ ${output} before)
  endif()
  if(NOT before STREQUAL text)
    file(WRITE ${output} "${text}")
  endif()
endfunction()
