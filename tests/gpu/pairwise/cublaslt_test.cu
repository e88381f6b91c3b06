// cuBLASLt for the products: what its descriptors say, read back (needs the library and no GPU), and
// on a GPU the same gradients as the kernels'. A program of its own: tests/gpu/compile.sh builds and
// runs it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "support/gpu.hpp"

#include <string>

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/pairwise/cublaslt.cuh"
#include "spheremix/gpu/pairwise/stored_cosines.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::pairwise::Gemm;
using gpu::pairwise::HalfTile;
using gpu::pairwise::LtGemm;
using gpu::pairwise::ProductSide;

template <class T>
T layout(cublasLtMatrixLayoutOpaque_t& l, cublasLtMatrixLayoutAttribute_t what) {
  T value{};
  std::size_t written = 0;
  REQUIRE(cublasLtMatrixLayoutGetAttribute(&l, what, &value, sizeof value, &written) == 0);
  CHECK(written == sizeof value);
  return value;
}
void check_layout(cublasLtMatrixLayoutOpaque_t& l, cudaDataType_t type, Index rows, Index cols,
                  Index leading) {
  CHECK(layout<std::uint32_t>(l, CUBLASLT_MATRIX_LAYOUT_TYPE) == std::uint32_t(type));
  CHECK(layout<std::int32_t>(l, CUBLASLT_MATRIX_LAYOUT_ORDER) == CUBLASLT_ORDER_COL);
  CHECK(layout<std::uint64_t>(l, CUBLASLT_MATRIX_LAYOUT_ROWS) == std::uint64_t(rows));
  CHECK(layout<std::uint64_t>(l, CUBLASLT_MATRIX_LAYOUT_COLS) == std::uint64_t(cols));
  CHECK(layout<std::int64_t>(l, CUBLASLT_MATRIX_LAYOUT_LD) == leading);
}
template <class T>
T operation(LtGemm& lt, cublasLtMatmulDescAttributes_t what) {
  T value{};
  std::size_t written = 0;
  REQUIRE(cublasLtMatmulDescGetAttribute(&lt.operation, what, &value, sizeof value, &written) == 0);
  return value;
}

}  // namespace

TEST_CASE("descriptors of dX = alpha G Y and dY += alpha G^T X, read back") {
  // G is rows x cols in rows of `stride`; Y and X have d columns; everything row-major.
  const Index rows = 300, cols = 131, stride = 4096, d = 40, leading = 48, out_stride = 41;
  gpu::Half g{}, b{};
  float out = 0;
  for (const bool transposed : {false, true}) {
    const Index m = transposed ? cols : rows, depth = transposed ? rows : cols;
    const ProductSide<HalfTile> side{
        &g,   stride,    transposed, {&b, depth, d, leading}, {&out, m, d, out_stride},
        0.5f, transposed};
    const Gemm gemm = gpu::pairwise::gemm_of(side);
    LtGemm lt;
    REQUIRE(LtGemm::describe(gemm, &lt) == 0);
    // Column-major: out^T (d x m) = alpha b^T (d x depth) op(G)^T (depth x m).
    check_layout(lt.a, CUDA_R_16F, d, depth, leading);
    check_layout(lt.b, CUDA_R_16F, cols, rows, stride);  // G^T as it lies, whatever op is
    check_layout(lt.c, CUDA_R_32F, d, m, out_stride);
    CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_TRANSA) == CUBLAS_OP_N);
    CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_TRANSB) ==
          (transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) == CUBLAS_COMPUTE_32F);
    CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_SCALE_TYPE) == CUDA_R_32F);
    CHECK(gemm.alpha == 0.5f);
    CHECK(gemm.beta == (transposed ? 1.f : 0.f));
  }
}

TEST_CASE("descriptors of S = X Y^T in fp16, read back") {
  const Index rows = 300, cols = 131, d = 40, x_stride = 48, y_stride = 56, stride = 512;
  const gpu::Half x{}, y{};
  gpu::Half s{};
  const Gemm gemm =
      gpu::pairwise::cosines_gemm({&x, rows, d, x_stride}, {&y, cols, d, y_stride}, &s, stride);
  LtGemm lt;
  REQUIRE(LtGemm::describe(gemm, &lt) == 0);
  // Column-major: S^T (cols x rows) = Y X^T, and a row-major matrix is its transpose there.
  check_layout(lt.a, CUDA_R_16F, d, cols, y_stride);
  check_layout(lt.b, CUDA_R_16F, d, rows, x_stride);
  check_layout(lt.c, CUDA_R_16F, cols, rows, stride);
  CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_TRANSA) == CUBLAS_OP_T);
  CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_TRANSB) == CUBLAS_OP_N);
  CHECK(operation<std::int32_t>(lt, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) == CUBLAS_COMPUTE_32F);
  CHECK(gemm.alpha == 1.f);
  CHECK(gemm.beta == 0.f);
}

TEST_CASE("what cuBLAS says is the status, and no CUDA error stays behind") {
  for (const cublasStatus_t code : {CUBLAS_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_INVALID_VALUE,
                                    CUBLAS_STATUS_ARCH_MISMATCH, CUBLAS_STATUS_EXECUTION_FAILED}) {
    const gpu::Status status = gpu::pairwise::lt_status(code);
    CHECK(!status.ok());
    CHECK(std::strcmp(status.text, cublasLtGetStatusString(code)) == 0);
  }
  CHECK(gpu::pairwise::lt_status(CUBLAS_STATUS_SUCCESS).ok());
  alignas(256) static unsigned char memory[512];
  const gpu::Half half{};
  float out = 0;
  const ProductSide<HalfTile> side{&half, 128, false, {&half, 8, 8, 8}, {&out, 8, 8, 8}, 1, false};
  const auto text = [&](unsigned char* workspace) {
    const gpu::pairwise::LtProducts products(nullptr, {workspace, 256});
    const gpu::Status status = products(side, ProductSide<HalfTile>{}, nullptr);
    CHECK(!status.ok());
    return std::string(status.text);
  };
  CHECK(text(memory + 16).find("workspace") != std::string::npos);
  CHECK(text(memory).find("workspace") == std::string::npos);  // CUDA's or cuBLAS' own words
  int devices = 0;  // without a driver every call says so, this one too
  const bool here = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
  if (here) CHECK(cudaGetLastError() == cudaSuccess);
  const Index edge = gpu::pairwise::LtProducts(nullptr, {memory, 256}).edge();
  CHECK(edge >= 1024);
  CHECK(edge % 1024 == 0);
  if (here) CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("CLIP by cuBLASLt: products, and every GEMM, against the kernels") {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: CLIP by cuBLASLt (no GPU here)\n");
    return;
  }
  const Index n = 1500, d = 72;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const Rows<float> dx(n, d, x), dy(n, d, y);
  const gpu::losses::ClipOptions options{0.05};
  const Buffer<char> workspace(std::size_t(32) << 20);
  cublasLtHandle_t handle = nullptr;
  REQUIRE(cublasLtCreate(&handle) == 0);
  struct Result {
    double loss;
    std::vector<double> x, y;
  };
  const auto run = [&](const auto& products) {
    const Rows<float> gx(n, d), gy(n, d);
    const Buffer<double> loss(1);
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::clip_with_gradient<float>(
          dx.input(), dy.input(), options, {loss.data(), gx.view(), gy.view(), nullptr}, s, nullptr,
          at(products, gpu::Precision::fast, 512));
    });
    return Result{loss.values()[0], gx.values(), gy.values()};
  };
  const gpu::pairwise::LtProducts by_lt(handle, workspace.scratch());
  const gpu::pairwise::StoredCosines<gpu::pairwise::LtProducts> stored{by_lt};
  const Result kernels = run(gpu::pairwise::KernelProducts{}), products = run(by_lt),
               all = run(stored), again = run(stored);
  CHECK(products.loss == kernels.loss);
  CHECK(relative_error(products.x, kernels.x) <= 1e-5);
  CHECK(relative_error(products.y, kernels.y) <= 1e-5);
  CHECK(std::abs(all.loss - kernels.loss) <= 1e-4 * kernels.loss);
  CHECK(relative_error(all.x, kernels.x) <= 5e-4);
  CHECK(relative_error(all.y, kernels.y) <= 5e-4);
  CHECK(again.loss == all.loss);
  CHECK(again.x == all.x);
  CHECK(again.y == all.y);
  cublasLtDestroy(handle);
}
