// The version, in one place: CMakeLists.txt reads it from here.
#pragma once

#define SPHEREMIX_VERSION_MAJOR 0
#define SPHEREMIX_VERSION_MINOR 1
#define SPHEREMIX_VERSION_PATCH 0
#define SPHEREMIX_VERSION "0.1.0"
