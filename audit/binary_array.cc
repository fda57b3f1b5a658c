#include "audit/binary_array.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kHasNullAt = 4;
constexpr std::size_t kElementAt = 8;
constexpr std::size_t kSizeAt = 12;
constexpr std::size_t kLowerBoundAt = 16;
constexpr std::size_t kHeaderBytes = 20;
constexpr std::size_t kElementLengthBytes = 4;
constexpr std::uint32_t kNullLength = 0xFFFFFFFF;

}  // namespace

BinaryArray::BinaryArray(Element element) : bytes_(kHeaderBytes, '\0') {
  put(0, 1);
  put(kElementAt, static_cast<std::uint32_t>(element));
  put(kLowerBoundAt, 1);
}

void BinaryArray::reserve(std::size_t elements, std::size_t bytes) {
  bytes_.reserve(kHeaderBytes + elements * kElementLengthBytes + bytes);
}

void BinaryArray::add(std::string_view element) {
  add_length(static_cast<std::uint32_t>(element.size()));
  bytes_ += element;
}

void BinaryArray::add(std::int64_t element) {
  const auto bits = static_cast<std::uint64_t>(element);
  std::string bytes(sizeof(bits), '\0');
  for (std::size_t i = 0; i < sizeof(bits); ++i) {
    bytes[i] = static_cast<char>((bits >> (8 * (sizeof(bits) - 1 - i))) & 0xFF);
  }
  add(bytes);
}

void BinaryArray::add_null() {
  add_length(kNullLength);
  put(kHasNullAt, 1);
}

void BinaryArray::add_length(std::uint32_t length) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof(length));
  put(at, length);
  put(kSizeAt, ++size_);
}

void BinaryArray::put(std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    bytes_[at + i] = static_cast<char>((value >> (8 * (sizeof(value) - 1 - i))) & 0xFF);
  }
}

}  // namespace holdfast::audit
