"""Conan 2: `conan create packaging/conan` makes the package of the tree that it lies in and builds test_package with it."""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

TREE = "../.."


class Spheremix(ConanFile):
    name = "spheremix"
    description = "Geometry, mixup and contrastive losses with gradients on the unit hypersphere"
    license = "Apache-2.0"
    topics = ("contrastive-learning", "hypersphere", "embeddings", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, TREE, "include/spheremix/core/version.hpp"))
        self.version = re.search(r'SPHEREMIX_VERSION "([0-9.]+)"', header)[1]

    def export_sources(self):
        for part in ("include/*", "cmake/*", "CMakeLists.txt", "LICENSE"):
            copy(self, part, os.path.join(self.recipe_folder, TREE), self.export_sources_folder)

    def requirements(self):
        self.requires("eigen/[>=3.4 <6]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["SPHEREMIX_TESTS"] = False
        toolchain.cache_variables["SPHEREMIX_CUDA"] = "OFF"
        toolchain.cache_variables["SPHEREMIX_FETCH_EIGEN"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def package(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        # The package's own spheremixConfig.cmake serves, with its targets and components.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "spheremix")]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
