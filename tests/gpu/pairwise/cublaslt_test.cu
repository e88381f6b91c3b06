// cuBLASLt for the products: what its descriptors say, read back (needs the library and no GPU), and
// on a GPU the same gradients as the kernels'. A program of its own: tests/gpu/compile.sh builds and
// runs it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/pairwise/cublaslt.cuh"

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
        &g, stride, transposed, {&b, depth, d, leading}, {&out, m, d, out_stride}, 0.5f, transposed};
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

TEST_CASE("CLIP's gradients by cuBLASLt are those of the kernels") {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: CLIP by cuBLASLt (no GPU here)\n");
    return;
  }
  const Index n = 1500, d = 72;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const Rows<float> dx(n, d, x), dy(n, d, y);
  const gpu::losses::ClipOptions options{0.05, gpu::Precision::fast, 512};
  Buffer<char> scratch(gpu::losses::clip_bytes<float>(dx.input(), dy.input(), options)),
      workspace(std::size_t(32) << 20);
  cublasLtHandle_t handle = nullptr;
  REQUIRE(cublasLtCreate(&handle) == 0);
  const gpu::pairwise::LtProducts by_lt(handle, workspace.scratch());
  Rows<float> gx[2] = {Rows<float>(n, d), Rows<float>(n, d)},
              gy[2] = {Rows<float>(n, d), Rows<float>(n, d)};
  Buffer<double> loss(2);
  finish(gpu::losses::clip_with_gradient<float>(dx.input(), dy.input(), options,
                                                {loss.data(), gx[0].view(), gy[0].view(), nullptr},
                                                scratch.scratch(), nullptr));
  finish(gpu::losses::clip_with_gradient<float>(
      dx.input(), dy.input(), options, {loss.data() + 1, gx[1].view(), gy[1].view(), nullptr},
      scratch.scratch(), nullptr, by_lt));
  CHECK(loss.values()[0] == loss.values()[1]);
  CHECK(relative_error(gx[1].values(), gx[0].values()) <= 1e-5);
  CHECK(relative_error(gy[1].values(), gy[0].values()) <= 1e-5);
  cublasLtDestroy(handle);
}
