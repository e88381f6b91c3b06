// A program that uses the installed device headers: the middle of two rows on the sphere.
#include <cmath>
#include <cstdio>

#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU here\n");
    return 77;
  }
  namespace gpu = spheremix::gpu;
  const float u[] = {1, 0}, v[] = {0, 1};
  float m[2] = {};
  gpu::Matrix<float> a(1, 2), b(1, 2), out(1, 2);
  a.upload(u, 2);
  b.upload(v, 2);
  gpu::expect(gpu::sphere::slerp_rows(a.view(), b.view(), 0.5, out.view()));
  out.download(m, 2);
  const double half = std::sqrt(0.5);
  return std::abs(double(m[0]) - half) < 1e-6 && std::abs(double(m[1]) - half) < 1e-6 ? 0 : 1;
}
