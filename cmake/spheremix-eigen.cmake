# Eigen3::Eigen where none is there yet: Eigen 3.4, else 5 (its version scheme went from 3.4 to 5.0; both are
# one find_package call each, because either refuses the other's number). Read by the source tree and by the
# installed package. spheremix_no_eigen: the sentence for whoever finds none.
set(spheremix_no_eigen "spheremix needs Eigen 3.4 or 5, and none was found. Install it (Debian, Ubuntu: libeigen3-dev; Fedora: \
eigen3-devel; Homebrew, vcpkg, Conan, conda: eigen) or set Eigen3_DIR to the folder of its Eigen3Config.cmake.")
if(NOT TARGET Eigen3::Eigen)
  set(spheremix_eigen_dir "${Eigen3_DIR}")  # a call that finds nothing forgets where the user pointed
  find_package(Eigen3 3.4 CONFIG QUIET GLOBAL)
  if(NOT TARGET Eigen3::Eigen)
    if(spheremix_eigen_dir)
      set(Eigen3_DIR "${spheremix_eigen_dir}" CACHE PATH "Folder of Eigen3Config.cmake" FORCE)
    endif()
    find_package(Eigen3 5 CONFIG QUIET GLOBAL)
  endif()
endif()
