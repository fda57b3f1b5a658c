// A bar on standard error that says how far a long command is. Only where that is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace holdfast::cli {

class ProgressBar {
 public:
  // `unit`: what is counted, for people.
  ProgressBar(std::uint64_t total, std::string unit);

  // Draws at most ten times a second.
  void show(std::uint64_t done);

  // Leaves an empty line behind.
  void clear();

 private:
  const std::uint64_t total_;
  const std::string unit_;
  const bool on_terminal_;
  const std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point drawn_;
};

// "[######        ]  42%  1200000 of 2800000 records, 410000 a second". Pure.
std::string progress_line(std::uint64_t done, std::uint64_t total, const std::string& unit,
                          std::chrono::milliseconds elapsed);

}  // namespace holdfast::cli
