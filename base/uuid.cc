#include "base/uuid.h"

#include <algorithm>
#include <span>

#include "base/crypto.h"
#include "base/encoding.h"

namespace holdfast {
namespace {

// Random bytes for many UUIDs at once: the generator's own cost hardly depends on how many it is
// asked for. What was handed out is not kept.
class RandomStock {
 public:
  void take(std::span<std::uint8_t> out) {
    if (stock_.size() - taken_ < out.size()) {
      random_bytes(stock_);
      taken_ = 0;
    }
    const auto bytes = std::span(stock_).subspan(taken_, out.size());
    std::ranges::copy(bytes, out.begin());
    std::ranges::fill(bytes, std::uint8_t{0});
    taken_ += out.size();
  }

 private:
  std::array<std::uint8_t, 1024> stock_;
  std::size_t taken_ = stock_.size();
};

Uuid random_uuid(std::uint8_t version) {
  thread_local RandomStock stock;
  Uuid uuid;
  stock.take(uuid.bytes);
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | (version << 4));
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);
  return uuid;
}

}  // namespace

Uuid make_uuid_v4() {
  return random_uuid(4);
}

Uuid make_uuid_v7(WallTime time) {
  Uuid uuid = random_uuid(7);
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  const auto milliseconds = static_cast<std::uint64_t>(since_epoch.count());
  for (std::size_t i = 0; i < 6; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(milliseconds >> (8 * (5 - i)));
  }
  return uuid;
}

std::string to_string(const Uuid& uuid) {
  std::string text =
      to_hex(std::string_view(reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()));
  for (const std::size_t place : {8U, 13U, 18U, 23U}) text.insert(place, 1, '-');
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen != (text[i] == '-')) return std::nullopt;
    if (!hyphen) digits += text[i];
  }
  const std::optional<std::string> bytes = from_hex(digits);
  if (!bytes) return std::nullopt;
  Uuid uuid;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>((*bytes)[i]);
  }
  return uuid;
}

}  // namespace holdfast
