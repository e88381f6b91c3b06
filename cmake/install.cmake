# Headers, CMake package and .pc file. All of it is independent of the machine: OpenMP and CUDA are looked for
# when a consumer asks for the component, not when the package is made.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/spheremix)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/spheremix DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inc" PATTERN "*.cuh")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(TARGETS spheremix EXPORT spheremixTargets)
install(EXPORT spheremixTargets NAMESPACE spheremix:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/spheremixConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/spheremixConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/spheremixConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/spheremixConfig.cmake ${PROJECT_BINARY_DIR}/spheremixConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-openmp.cmake
              ${PROJECT_SOURCE_DIR}/cmake/spheremix-cuda.cmake
        DESTINATION ${package_dir})

configure_file(${PROJECT_SOURCE_DIR}/cmake/spheremix.pc.in ${PROJECT_BINARY_DIR}/spheremix.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/spheremix.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
