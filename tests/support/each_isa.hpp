// Every copy of a loop that core/each_isa.inc makes, for tests.
#pragma once

#include "spheremix/core/isa.hpp"

/// MAKE(name) for each instruction set that this compiler makes code for.
#if SPHEREMIX_X86_COPIES
#define SPHEREMIX_TEST_COPIES(MAKE) MAKE(baseline) MAKE(avx2) MAKE(avx512)
#else
#define SPHEREMIX_TEST_COPIES(MAKE) MAKE(baseline)
#endif

namespace spheremix::test {

/// Calls body.operator()<Copy<isa>>() for each copy that this processor can run.
template <template <core::Isa> class Copy, class Body>
void each_isa(const Body& body) {
  body.template operator()<Copy<core::Isa::baseline>>();
#if SPHEREMIX_X86_COPIES
  if (core::isa() >= core::Isa::avx2) body.template operator()<Copy<core::Isa::avx2>>();
  if (core::isa() >= core::Isa::avx512) body.template operator()<Copy<core::Isa::avx512>>();
#endif
}

}  // namespace spheremix::test
