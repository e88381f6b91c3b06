// How the N x N losses and metrics calculate on the device.
//
//   fast    fp16 rows on the tensor cores, cosines, statistics and sums in f32, dL/dS in fp16 times
//           2^14. Rows are meant to be unit: entries below 2^-14 lose digits and products above
//           65504 are infinite in fp16.
//   exact   every product and sum in f32, without tensor cores.
//
// double rows are always calculated in f64. TF32 and bf16 products are never used; bf16 rows become
// fp16.
#pragma once

namespace spheremix::gpu {

enum class Precision { fast, exact };

}  // namespace spheremix::gpu
