// Preloaded into a database server: every fsync and fdatasync takes as much longer as a disk over a
// network does. The time is SLOW_FSYNC_US, in microseconds.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace {

using Sync = int (*)(int);

int sync_slowly(const char* name, int descriptor) {
  static const auto extra_us = [] {
    const char* text = std::getenv("SLOW_FSYNC_US");
    return text == nullptr ? 0U : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
  }();
  // The next of that name is the C library's.
  const auto next = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, name));
  if (extra_us > 0) usleep(extra_us);
  return next(descriptor);
}

}  // namespace

extern "C" int fsync(int descriptor) {
  return sync_slowly("fsync", descriptor);
}
extern "C" int fdatasync(int descriptor) {
  return sync_slowly("fdatasync", descriptor);
}
