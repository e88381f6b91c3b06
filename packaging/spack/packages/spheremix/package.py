from spack.package import *


class Spheremix(CMakePackage):
    """Geometry, mixup and contrastive losses with closed-form gradients on the unit hypersphere: a header-only
    C++20 library."""

    license("Apache-2.0")

    # No URL: built from a checkout by `spack dev-build spheremix@0.1.0`.
    version("0.1.0")

    depends_on("cxx", type="build")
    depends_on("cmake@3.24:", type="build")
    depends_on("eigen@3.4:5", type=("build", "link"))

    conflicts("%gcc@:10", msg="spheremix needs g++ 11 or later")
    conflicts("%clang@:13", msg="spheremix needs clang++ 14 or later")

    def cmake_args(self):
        return [
            self.define("SPHEREMIX_TESTS", False),
            self.define("SPHEREMIX_CUDA", "OFF"),
            self.define("SPHEREMIX_FETCH_EIGEN", False),
        ]
