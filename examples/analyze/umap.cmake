# umappp and knncolle for map.cpp, headers of PyPI's assorthead (BSD and MIT licences). Optional: without them the map is PCA.
# After all other folders: it carries an Eigen of its own.
if(Python3_FOUND)
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import assorthead; print(assorthead.includes())"
                  OUTPUT_VARIABLE headers ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(headers AND EXISTS ${headers}/umappp/umappp.hpp)
  set_source_files_properties(analyze/map.cpp PROPERTIES COMPILE_DEFINITIONS SPHEREMIX_UMAP COMPILE_OPTIONS "-idirafter${headers}")
  message(STATUS "UMAP for spheremix-analyze: ${headers}")
endif()
