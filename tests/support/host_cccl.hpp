// CCCL (Thrust, libcu++) as plain C++ beside the emulator. CCCL takes the CUDA runtime's own headers
// wherever the compiler can find them, and those declare what the emulator stands in for: this says
// there is no toolkit before CCCL looks. Include it first. CCCL 3 (CUDA 13) asks in one header; with
// an older one keep the toolkit's folder off the include path.
#pragma once

#if !defined(__CUDACC__)
#if !defined(THRUST_DEVICE_SYSTEM)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#endif
#define __CCCL_CUDA_TOOLKIT_H
#define _CCCL_HAS_CTK() 0
#define _CCCL_CTK_MAKE_VERSION(major, minor) ((major)*1000 + (minor)*10)
#define _CCCL_CTK() (0, 0)
#define _CCCL_CTK_BELOW(...) 1
#define _CCCL_CTK_AT_LEAST(...) 0
#endif
