#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace holdfast::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kWidth = 30;
constexpr milliseconds kBetweenDrawings{100};
constexpr const char* kEraseLine = "\r\033[K";

}  // namespace

std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& unit,
                          milliseconds elapsed) {
  const std::uint64_t whole = std::max<std::uint64_t>(total, 1);
  const std::uint64_t filled = std::min(done * kWidth / whole, kWidth);
  const std::string percent = std::to_string(std::min<std::uint64_t>(done * 100 / whole, 100));
  const auto rate =
      done * 1000 / static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed.count(), 1));
  return "[" + std::string(filled, '#') + std::string(kWidth - filled, ' ') + "] " +
         std::string(3 - percent.size(), ' ') + percent + "%  " + std::to_string(done) + " of " +
         std::to_string(total) + " " + unit + ", " + std::to_string(rate) + " a second";
}

ProgressBar::ProgressBar(std::uint64_t total, std::string unit)
    : total_(total),
      unit_(std::move(unit)),
      on_terminal_(isatty(STDERR_FILENO) != 0),
      began_(steady_clock::now()),
      drawn_(began_) {}

void ProgressBar::show(std::uint64_t done) {
  const steady_clock::time_point now = steady_clock::now();
  if (!on_terminal_ || now - drawn_ < kBetweenDrawings) return;
  drawn_ = now;
  const auto elapsed = std::chrono::duration_cast<milliseconds>(now - began_);
  std::cerr << kEraseLine << progress_line(done, total_, unit_, elapsed) << std::flush;
}

void ProgressBar::clear() {
  if (on_terminal_ && drawn_ != began_) std::cerr << kEraseLine << std::flush;
}

}  // namespace holdfast::cli
