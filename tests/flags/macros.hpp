// Words that other headers define as macros, after Eigen and the standard headers and before ours: every header
// still compiles (tests/scripts/headers_alone.sh).
#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if __has_include(<fcntl.h>)
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif
#if __has_include(<mpi.h>)
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

// Qt
#define slots
#define signals public
#define emit
#define foreach for
#define forever for (;;)
// windows.h and its kin
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define small char
#define near
#define far
#define interface struct
#define hyper long long
#define byte_of unsigned char
#define ERROR 0
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define TRUE 1
#define FALSE 0
#define DELETE 0x10000
#define STRICT 1
#define NO_ERROR 0
#define GetMessage GetMessageA
#define pascal
#define cdecl
#define rad1 0
#define rad2 0
// X11
#define Bool int
#define None 0L
#define Status int
#define Success 0
#define True 1
#define False 0
#define Always 2
#define Above 0
#define Below 1
#define BadRequest 1
#define BadValue 2
#define ControlMask 4
#define CurrentTime 0L
#define CursorShape 0
#define Complex 0
#define Convex 2
#define Expose 12
#define FocusIn 9
#define FocusOut 10
#define GrayScale 1
#define KeyPress 2
#define KeyRelease 3
#define NotUseful 0
#define Opposite 4
#define Nonconvex 1
#define Unsorted 0
#define YSorted 1
#define WhenMapped 1
#define Absolute 1
#define Relative 0
// sys/param.h, sys/sysmacros.h, math.h and old Unix
#define major(x) ((x) >> 8)
#define minor(x) ((x) & 255)
#define unix 1
#define linux 1
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define PI 3.14159265358979323846
#define I 1i
#define DOMAIN 1
#define SING 2
#define OVERFLOW 3
#define UNDERFLOW 4
#define BSD 1
#define howmany(x, y) (((x) + ((y)-1)) / (y))
#define roundup(x, y) ((((x) + ((y)-1)) / (y)) * (y))
#define powerof2(x) ((((x)-1) & (x)) == 0)
// Arduino, glog, Objective-C, Python
#define INPUT 0
#define OUTPUT 1
#define CHECK(x)
#define LOG(x)
#define YES 1
#define NO 0
#define check(x)
#define verify(x)
#define require(x)
#define nil 0
#define assert_equal(a, b)
