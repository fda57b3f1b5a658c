# The helpers every folder's CMakeLists.txt is written with.

set(HOLDFAST_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, comma separated; empty for none")

add_library(holdfast_flags INTERFACE)
target_include_directories(holdfast_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(holdfast_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -fno-omit-frame-pointer
  # Designated initialisers leave out what has a good default.
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 inlines one half of a coroutine frame's allocation and then misses the other half.
  target_compile_options(holdfast_flags INTERFACE -Wno-mismatched-new-delete)
  # It takes every source of a unity build but the first for a header.
  target_compile_options(holdfast_flags INTERFACE -Wno-subobject-linkage)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(holdfast_flags INTERFACE -Wthread-safety)
endif()
if(HOLDFAST_SANITIZE)
  target_compile_options(holdfast_flags INTERFACE
    -fsanitize=${HOLDFAST_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(holdfast_flags INTERFACE -fsanitize=${HOLDFAST_SANITIZE})
endif()
# Beast's parser asserts on legal input split at unlucky places; NDEBUG builds would hide that.
target_compile_definitions(holdfast_flags INTERFACE
  BOOST_DISABLE_ASSERTS BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(holdfast_flags INTERFACE Threads::Threads)

# Reading the headers from outside takes longer than compiling what is in most batches of sources, so
# they are read once: for what ships, and for tests, which are compiled with other flags. A source still
# includes what it uses: the tsan preset builds without this.
function(holdfast_precompile name)
  cmake_parse_arguments(ARG "" "" "HEADERS;USES" ${ARGN})
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cc)
  target_link_libraries(${name} PRIVATE holdfast_flags ${ARG_USES})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # The same from the same headers, for ccache.
    target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

set(HOLDFAST_PRECOMPILED
  <algorithm> <array> <atomic> <charconv> <chrono> <cstdint> <filesystem> <fstream> <functional>
  <future> <map> <memory> <optional> <ostream> <set> <span> <sstream> <string> <string_view> <thread>
  <unordered_map> <utility> <variant> <vector>
  <boost/asio/co_spawn.hpp> <boost/asio/detached.hpp> <boost/asio/io_context.hpp>
  <boost/asio/ip/tcp.hpp> <boost/asio/post.hpp> <boost/asio/steady_timer.hpp>
  <boost/asio/this_coro.hpp> <boost/asio/use_awaitable.hpp>
  <nlohmann/json.hpp>)
holdfast_precompile(holdfast_precompiled
  HEADERS ${HOLDFAST_PRECOMPILED}
  USES nlohmann_json::nlohmann_json Boost::headers)

# holdfast_library(NAME SOURCES a.cc b.cc [USES targets...])
#
# Declares the one static library of a folder. Headers are found as "folder/name.h".
function(holdfast_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC holdfast_flags ${ARG_USES})
  target_precompile_headers(${name} REUSE_FROM holdfast_precompiled)
endfunction()

# holdfast_test(NAME SOURCES a_test.cc [USES targets...] LABEL unit)
#
# Declares a GoogleTest binary whose cases CTest lists one by one.
function(holdfast_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE holdfast_flags ${ARG_USES} GTest::gtest GTest::gmock
    GTest::gtest_main)
  if(TARGET holdfast_precompiled_tests)
    target_precompile_headers(${name} REUSE_FROM holdfast_precompiled_tests)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 300)
endfunction()

include(GoogleTest)
