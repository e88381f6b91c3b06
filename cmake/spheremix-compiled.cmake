# spheremix::compiled: the functions on views for float and double in a library (core/compiled.hpp), so that a program
# compiles its own calls only; the calls are the same. Read by the source tree and, as component `compiled`, by the
# installed package. It is built in the project that asks for it, by that project's compiler and flags, never
# installed: so the package stays one for every machine, and every result keeps its bits.
if(NOT TARGET spheremix::compiled)
  file(GLOB spheremix_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/compiled/*.cpp)
  add_library(spheremix_compiled STATIC EXCLUDE_FROM_ALL)
  add_library(spheremix::compiled ALIAS spheremix_compiled)
  foreach(source IN LISTS spheremix_sources)
    get_filename_component(name ${source} NAME_WE)
    foreach(type float double)  # one function and type a file: a program links what it calls
      set(file ${CMAKE_CURRENT_BINARY_DIR}/spheremix_compiled/${name}_${type}.cpp)
      file(CONFIGURE OUTPUT ${file} CONTENT "#define SPHEREMIX_COMPILED_TYPE ${type}\n#include \"${source}\"\n")
      target_sources(spheremix_compiled PRIVATE ${file})
    endforeach()
  endforeach()
  target_compile_definitions(spheremix_compiled PUBLIC SPHEREMIX_COMPILED)
  include(${CMAKE_CURRENT_LIST_DIR}/spheremix-openmp.cmake)  # serial where there is no OpenMP
  target_link_libraries(spheremix_compiled PUBLIC spheremix::openmp)
endif()
set(spheremix_compiled_FOUND TRUE)
