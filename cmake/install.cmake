# Headers, CMake package and .pc file. All of it is independent of the machine: Eigen, OpenMP, CUDA, MPI and NCCL are looked
# for when a consumer finds the package, not when it is made. Everything is in the component spheremix_Development.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME spheremix_Development)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/spheremix)
set(pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/spheremix DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inc" PATTERN "*.cuh")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(TARGETS spheremix EXPORT spheremixTargets)
install(EXPORT spheremixTargets NAMESPACE spheremix:: DESTINATION ${package_dir})
set(spheremix_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/spheremixConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/spheremixConfig.cmake
                              INSTALL_DESTINATION ${package_dir} PATH_VARS spheremix_INCLUDE_DIR
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/spheremixConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/spheremixConfig.cmake ${PROJECT_BINARY_DIR}/spheremixConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-eigen.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-openmp.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-compiled.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-cuda.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-mpi.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-nccl.cmake
        DESTINATION ${package_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/cmake/compiled DESTINATION ${package_dir})  # sources: built by who asks for them

# The .pc file finds the prefix from its own place, wherever the tree is moved; absolute folders (Nix) stay as they are.
set(pc_prefix ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${pkgconfig_dir})
  file(RELATIVE_PATH pc_prefix /${pkgconfig_dir} /)
  string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
  set(pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT IS_ABSOLUTE ${pc_includedir})
  set(pc_includedir "\${prefix}/${pc_includedir}")
endif()
set(pc_files ${PROJECT_BINARY_DIR}/spheremix.pc)
configure_file(${PROJECT_SOURCE_DIR}/cmake/spheremix.pc.in ${PROJECT_BINARY_DIR}/spheremix.pc @ONLY)
foreach(component mpi nccl)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/spheremix-${component}.pc.in
                 ${PROJECT_BINARY_DIR}/spheremix-${component}.pc @ONLY)
  list(APPEND pc_files ${PROJECT_BINARY_DIR}/spheremix-${component}.pc)
endforeach()
install(FILES ${pc_files} DESTINATION ${pkgconfig_dir})

if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall COMMENT "Removes what the last installation from this folder wrote"
    COMMAND ${CMAKE_COMMAND} -D folder=${PROJECT_BINARY_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake)

  # `cpack -G DEB` makes libspheremix-dev, `cpack -G TGZ` the tree.
  set(CPACK_PACKAGE_NAME libspheremix-dev)
  set(CPACK_PACKAGE_VENDOR "The spheremix authors")
  set(CPACK_PACKAGE_CONTACT "The spheremix authors")
  set(CPACK_GENERATOR TGZ)
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4)")
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  include(CPack)
endif()
