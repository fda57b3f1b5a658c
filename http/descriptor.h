// Owns a file descriptor and closes it. One thread at a time.
#pragma once

#include <unistd.h>

#include <utility>

namespace holdfast::http {

class Descriptor {
 public:
  // -1: none.
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (number_ >= 0) ::close(release());
  }

 private:
  int number_;
};

}  // namespace holdfast::http
