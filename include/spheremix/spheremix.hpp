// Everything of spheremix for the CPU. The device headers, spheremix/gpu/*.cuh, are included one by one.
#pragma once

#include "spheremix/core/checks.hpp"
#include "spheremix/core/constants.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/core/version.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/core/workspace.hpp"
